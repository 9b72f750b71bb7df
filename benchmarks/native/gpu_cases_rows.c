/* Work on elements and on rows, and the optimizer's. */
#include <stddef.h>

#include "gpu_cases.h"

/* ---- linear ---- */

enum { LINEAR_X, LINEAR_WEIGHT, LINEAR_BIAS, LINEAR_Y, LINEAR_DY, LINEAR_DX, LINEAR_DWEIGHT, LINEAR_DBIAS };

static pan_status linear_forward(const work *w, const place *p) {
    return pan_linear_forward(p->stream, &w->desc.linear, p->at[LINEAR_X], p->at[LINEAR_WEIGHT], p->at[LINEAR_BIAS],
                              p->at[LINEAR_Y]);
}

static pan_status linear_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_linear_backward_workspace_size(p->stream, &w->desc.linear, bytes);
}

static pan_status linear_backward(const work *w, const place *p) {
    return pan_linear_backward(p->stream, &w->desc.linear, p->at[LINEAR_X], p->at[LINEAR_WEIGHT], p->at[LINEAR_DY],
                               p->at[LINEAR_DX], p->at[LINEAR_DWEIGHT], p->at[LINEAR_DBIAS], p->workspace,
                               p->workspace_bytes);
}

work linear_work(int64_t rows, int64_t in, int64_t out) {
    work w = {.family = "linear"};
    w.desc.linear = (pan_linear_desc){.struct_size = sizeof w.desc.linear,
                                      .rows = rows,
                                      .in_features = in,
                                      .out_features = out,
                                      .x_stride = in,
                                      .y_stride = out};
    add_size(&w, "rows", rows);
    add_size(&w, "in", in);
    add_size(&w, "out", out);
    add_array(&w, "x", FILL_NOISE, rows * in);
    add_array(&w, "weight", FILL_NOISE, in * out);
    add_array(&w, "bias", FILL_NOISE, out);
    add_array(&w, "y", FILL_OUTPUT, rows * out);
    add_array(&w, "dy", FILL_NOISE, rows * out);
    add_array(&w, "dx", FILL_OUTPUT, rows * in);
    add_array(&w, "dweight", FILL_SUM, in * out);
    add_array(&w, "dbias", FILL_SUM, out);
    const double x = product(rows, in), y = product(rows, out), weight = product(in, out);
    const double flops = 2.0 * x * (double) out;
    add_call(&w, (call){"linear_forward", "forward", linear_forward, NULL, FLOAT * (x + weight + y), flops});
    add_call(&w, (call){"linear_backward", "backward", linear_backward, linear_backward_size,
                        FLOAT * (2.0 * x + 3.0 * weight + y), 2.0 * flops});
    return w;
}

/* ---- embedding ---- */

enum {
    EMBEDDING_IDS,
    EMBEDDING_TABLE,
    EMBEDDING_POSITIONS,
    EMBEDDING_Y,
    EMBEDDING_DY,
    EMBEDDING_DTABLE,
    EMBEDDING_DPOSITIONS
};

static pan_status embedding_forward(const work *w, const place *p) {
    return pan_embedding_forward(p->stream, &w->desc.embedding, p->at[EMBEDDING_IDS], p->at[EMBEDDING_TABLE],
                                 p->at[EMBEDDING_POSITIONS], p->at[EMBEDDING_Y]);
}

static pan_status embedding_backward(const work *w, const place *p) {
    return pan_embedding_backward(p->stream, &w->desc.embedding, p->at[EMBEDDING_IDS], p->at[EMBEDDING_DY],
                                  p->at[EMBEDDING_DTABLE], p->at[EMBEDDING_DPOSITIONS]);
}

work embedding_work(int64_t batch, int64_t length, int64_t channels, int64_t vocab) {
    work w = {.family = "embedding"};
    w.desc.embedding = (pan_embedding_desc){.struct_size = sizeof w.desc.embedding,
                                            .batch = batch,
                                            .length = length,
                                            .channels = channels,
                                            .vocab_size = vocab,
                                            .positions = length};
    add_size(&w, "batch", batch);
    add_size(&w, "length", length);
    add_size(&w, "channels", channels);
    add_size(&w, "vocab", vocab);
    const int ids = add_array(&w, "ids", FILL_INDEX, batch * length);
    w.arrays[ids].limit = vocab;
    add_array(&w, "table", FILL_NOISE, vocab * channels);
    add_array(&w, "position_table", FILL_NOISE, length * channels);
    add_array(&w, "y", FILL_OUTPUT, batch * length * channels);
    add_array(&w, "dy", FILL_NOISE, batch * length * channels);
    add_array(&w, "dtable", FILL_SUM, vocab * channels);
    add_array(&w, "dposition_table", FILL_SUM, length * channels);
    const double rows = product(batch, length), y = rows * (double) channels;
    /* Forward reads a row of the table for each token, from memory or from a cache; the table itself at most once. */
    const double table = product(vocab, channels), positions = product(length, channels);
    const double read = table < y ? table : y;
    add_call(&w, (call){"embedding_forward", "forward", embedding_forward, NULL, FLOAT * (rows + read + positions + y),
                        0.0});
    add_call(&w, (call){"embedding_backward", "backward", embedding_backward, NULL,
                        FLOAT * (rows + y + 2.0 * table + 2.0 * positions), 0.0});
    return w;
}

/* ---- norm ---- */

enum {
    NORM_X,
    NORM_RESIDUAL,
    NORM_WEIGHT,
    NORM_BIAS,
    NORM_SUM,
    NORM_Y,
    NORM_MEAN,
    NORM_RSTD,
    NORM_DSUM,
    NORM_DY,
    NORM_DX,
    NORM_DWEIGHT,
    NORM_DBIAS
};

static pan_status norm_forward(const work *w, const place *p) {
    return pan_norm_forward(p->stream, &w->desc.norm, p->at[NORM_X], p->at[NORM_RESIDUAL], p->at[NORM_WEIGHT],
                            p->at[NORM_BIAS], p->at[NORM_SUM], p->at[NORM_Y], p->at[NORM_MEAN], p->at[NORM_RSTD]);
}

static pan_status norm_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_norm_backward_workspace_size(p->stream, &w->desc.norm, bytes);
}

static pan_status norm_backward(const work *w, const place *p) {
    return pan_norm_backward(p->stream, &w->desc.norm, p->at[NORM_SUM], p->at[NORM_WEIGHT], p->at[NORM_MEAN],
                             p->at[NORM_RSTD], p->at[NORM_DSUM], p->at[NORM_DY], p->at[NORM_DX], p->at[NORM_DWEIGHT],
                             p->at[NORM_DBIAS], p->workspace, p->workspace_bytes);
}

work norm_work(int64_t rows, int64_t channels) {
    work w = {.family = "norm"};
    w.desc.norm = (pan_norm_desc){.struct_size = sizeof w.desc.norm,
                                  .kind = PAN_NORM_LAYER,
                                  .epsilon = 1e-5f,
                                  .rows = rows,
                                  .channels = channels,
                                  .stride = channels};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    const int64_t count = rows * channels;
    add_array(&w, "x", FILL_NOISE, count);
    add_array(&w, "residual", FILL_NOISE, count);
    add_array(&w, "weight", FILL_POSITIVE, channels);
    add_array(&w, "bias", FILL_NOISE, channels);
    add_array(&w, "sum", FILL_OUTPUT, count);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "mean", FILL_OUTPUT, rows);
    add_array(&w, "rstd", FILL_OUTPUT, rows);
    add_array(&w, "dsum", FILL_NOISE, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "dx", FILL_OUTPUT, count);
    add_array(&w, "dweight", FILL_SUM, channels);
    add_array(&w, "dbias", FILL_SUM, channels);
    const double bytes = FLOAT * 4.0 * (double) count;
    add_call(&w, (call){"norm_forward", "forward", norm_forward, NULL, bytes, 0.0});
    add_call(&w, (call){"norm_backward", "backward", norm_backward, norm_backward_size, bytes, 0.0});
    return w;
}

/* ---- activation ---- */

enum { ACTIVATION_X, ACTIVATION_Y, ACTIVATION_DY, ACTIVATION_DX };

static pan_status activation_forward(const work *w, const place *p) {
    return pan_activation_forward(p->stream, &w->desc.activation, p->at[ACTIVATION_X], p->at[ACTIVATION_Y]);
}

static pan_status activation_backward(const work *w, const place *p) {
    return pan_activation_backward(p->stream, &w->desc.activation, p->at[ACTIVATION_X], p->at[ACTIVATION_DY],
                                   p->at[ACTIVATION_DX]);
}

work gelu_work(int64_t count) {
    work w = {.family = "gelu"};
    w.desc.activation =
        (pan_activation_desc){.struct_size = sizeof w.desc.activation, .kind = PAN_ACTIVATION_GELU, .count = count};
    add_size(&w, "count", count);
    add_array(&w, "x", FILL_NOISE, count);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "dx", FILL_OUTPUT, count);
    add_call(&w, (call){"activation_forward", "forward", activation_forward, NULL, FLOAT * 2.0 * (double) count, 0.0});
    add_call(&w,
             (call){"activation_backward", "backward", activation_backward, NULL, FLOAT * 3.0 * (double) count, 0.0});
    return w;
}

/* ---- arithmetic: rows of a plus the row b ---- */

enum { ARITHMETIC_A, ARITHMETIC_B, ARITHMETIC_Y, ARITHMETIC_DY, ARITHMETIC_DA, ARITHMETIC_DB };

static pan_status arithmetic_forward(const work *w, const place *p) {
    return pan_arithmetic_forward(p->stream, &w->desc.arithmetic, p->at[ARITHMETIC_A], p->at[ARITHMETIC_B],
                                  p->at[ARITHMETIC_Y]);
}

static pan_status arithmetic_backward(const work *w, const place *p) {
    return pan_arithmetic_backward(p->stream, &w->desc.arithmetic, p->at[ARITHMETIC_A], p->at[ARITHMETIC_B],
                                   p->at[ARITHMETIC_DY], p->at[ARITHMETIC_DA], p->at[ARITHMETIC_DB]);
}

work scale_rows_work(int64_t rows, int64_t channels) {
    work w = {.family = "scale_rows"};
    w.desc.arithmetic = (pan_arithmetic_desc){.struct_size = sizeof w.desc.arithmetic,
                                              .kind = PAN_MULTIPLY,
                                              .rank = 2,
                                              .shape = {rows, channels},
                                              .a_stride = {channels, 1},
                                              .b_stride = {0, 1}};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    const int64_t count = rows * channels;
    add_array(&w, "a", FILL_NOISE, count);
    add_array(&w, "b", FILL_NOISE, channels);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "da", FILL_OUTPUT, count);
    add_array(&w, "db", FILL_OUTPUT, channels);
    add_call(&w, (call){"arithmetic_forward", "forward", arithmetic_forward, NULL, FLOAT * 2.0 * (double) count, 0.0});
    add_call(&w,
             (call){"arithmetic_backward", "backward", arithmetic_backward, NULL, FLOAT * 3.0 * (double) count, 0.0});
    return w;
}

/* ---- gate: SwiGLU, both factors side by side in one array ---- */

enum { GATE_AB, GATE_Y, GATE_DY, GATE_DAB };

static pan_status gate_forward(const work *w, const place *p) {
    const float *a = p->at[GATE_AB];
    return pan_gate_forward(p->stream, &w->desc.gate, a, a + w->desc.gate.channels, NULL, p->at[GATE_Y]);
}

static pan_status gate_backward(const work *w, const place *p) {
    const float *a = p->at[GATE_AB];
    float *da = p->at[GATE_DAB];
    return pan_gate_backward(p->stream, &w->desc.gate, a, a + w->desc.gate.channels, p->at[GATE_DY], da,
                             da + w->desc.gate.channels);
}

work swiglu_work(int64_t rows, int64_t channels) {
    work w = {.family = "swiglu"};
    w.desc.gate = (pan_gate_desc){.struct_size = sizeof w.desc.gate,
                                  .activation = PAN_ACTIVATION_SILU,
                                  .rows = rows,
                                  .channels = channels,
                                  .a_stride = 2 * channels,
                                  .b_stride = 2 * channels,
                                  .y_stride = channels};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    const int64_t count = rows * channels;
    add_array(&w, "ab", FILL_NOISE, 2 * count);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "dab", FILL_OUTPUT, 2 * count);
    add_call(&w, (call){"gate_forward", "forward", gate_forward, NULL, FLOAT * 3.0 * (double) count, 0.0});
    add_call(&w, (call){"gate_backward", "backward", gate_backward, NULL, FLOAT * 5.0 * (double) count, 0.0});
    return w;
}

/* ---- dropout ---- */

enum { DROPOUT_RANDOM, DROPOUT_X, DROPOUT_Y };

static const pan_random_state RANDOM = {.seed = 123, .step = 7};

static pan_status dropout(const work *w, const place *p) {
    return pan_dropout(p->stream, &w->desc.dropout, p->at[DROPOUT_RANDOM], p->at[DROPOUT_X], p->at[DROPOUT_Y]);
}

work dropout_work(int64_t rows, int64_t channels) {
    work w = {.family = "dropout"};
    w.desc.dropout = (pan_dropout_desc){.struct_size = sizeof w.desc.dropout,
                                        .probability = 0.1f,
                                        .rows = rows,
                                        .channels = channels,
                                        .rows_per_example = rows,
                                        .key = 5};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    add_bytes(&w, "random", &RANDOM, sizeof RANDOM);
    add_array(&w, "x", FILL_NOISE, rows * channels);
    add_array(&w, "y", FILL_OUTPUT, rows * channels);
    add_call(&w, (call){"dropout", "forward", dropout, NULL, FLOAT * 2.0 * product(rows, channels), 0.0});
    return w;
}

/* ---- softmax ---- */

enum { SOFTMAX_X, SOFTMAX_Y, SOFTMAX_DY, SOFTMAX_DX };

static pan_status softmax_forward(const work *w, const place *p) {
    return pan_softmax_forward(p->stream, &w->desc.softmax, p->at[SOFTMAX_X], p->at[SOFTMAX_Y]);
}

static pan_status softmax_backward(const work *w, const place *p) {
    return pan_softmax_backward(p->stream, &w->desc.softmax, p->at[SOFTMAX_Y], p->at[SOFTMAX_DY], p->at[SOFTMAX_DX]);
}

work softmax_work(int64_t rows, int64_t columns) {
    work w = {.family = "softmax"};
    w.desc.softmax = (pan_softmax_desc){.struct_size = sizeof w.desc.softmax, .rows = rows, .columns = columns};
    add_size(&w, "rows", rows);
    add_size(&w, "columns", columns);
    const double count = product(rows, columns);
    add_array(&w, "x", FILL_NOISE, rows * columns);
    add_array(&w, "y", FILL_OUTPUT, rows * columns);
    add_array(&w, "dy", FILL_NOISE, rows * columns);
    add_array(&w, "dx", FILL_OUTPUT, rows * columns);
    add_call(&w, (call){"softmax_forward", "forward", softmax_forward, NULL, FLOAT * 2.0 * count, 0.0});
    add_call(&w, (call){"softmax_backward", "backward", softmax_backward, NULL, FLOAT * 3.0 * count, 0.0});
    return w;
}

/* ---- reductions ---- */

enum { REDUCE_X, REDUCE_Y, REDUCE_DY, REDUCE_DX };

static pan_status reduce_forward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_reduce_forward_workspace_size(p->stream, &w->desc.reduce, bytes);
}

static pan_status reduce_forward(const work *w, const place *p) {
    return pan_reduce_forward(p->stream, &w->desc.reduce, p->at[REDUCE_X], p->at[REDUCE_Y], p->workspace,
                              p->workspace_bytes);
}

static pan_status reduce_backward(const work *w, const place *p) {
    return pan_reduce_backward(p->stream, &w->desc.reduce, p->at[REDUCE_X], p->at[REDUCE_DY], p->at[REDUCE_DX]);
}

work reduce_work(const char *family, pan_reduction kind, int64_t count, int64_t inner) {
    work w = {.family = family};
    w.desc.reduce = (pan_reduce_desc){
        .struct_size = sizeof w.desc.reduce, .kind = kind, .outer = 1, .count = count, .inner = inner};
    add_size(&w, "rows", count);
    add_size(&w, "channels", inner);
    add_array(&w, "x", FILL_NOISE, count * inner);
    add_array(&w, "y", FILL_OUTPUT, inner);
    add_array(&w, "dy", FILL_NOISE, inner);
    add_array(&w, "dx", FILL_OUTPUT, count * inner);
    const double elements = product(count, inner);
    const bool reads_x = kind == PAN_REDUCE_SUM_OF_SQUARES;
    add_call(&w, (call){"reduce_forward", "forward", reduce_forward, reduce_forward_size, FLOAT * elements, 0.0});
    add_call(&w, (call){"reduce_backward", "backward", reduce_backward, NULL, FLOAT * (reads_x ? 2.0 : 1.0) * elements,
                        0.0});
    return w;
}

/* ---- optimizer ---- */

enum { ADAMW_STATE, ADAMW_PARAMETERS, ADAMW_GRADIENTS, ADAMW_AVERAGE, ADAMW_SQUARES };

static const pan_adamw_state ADAMW = {.learning_rate = 1e-3,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .epsilon = 1e-8,
                                      .weight_decay = 0.1,
                                      .bias_correction1 = 0.19,
                                      .bias_correction2 = 0.001999};

static pan_status adamw_step(const work *w, const place *p) {
    return pan_adamw_step(p->stream, &w->desc.adamw, p->at[ADAMW_STATE], p->at[ADAMW_PARAMETERS],
                          p->at[ADAMW_GRADIENTS], p->at[ADAMW_AVERAGE], p->at[ADAMW_SQUARES]);
}

work adamw_work(int64_t count) {
    work w = {.family = "adamw"};
    w.desc.adamw = (pan_adamw_desc){.struct_size = sizeof w.desc.adamw, .count = count};
    add_size(&w, "count", count);
    add_bytes(&w, "state", &ADAMW, sizeof ADAMW);
    /* Parameters start at zero so that they, too, are compared. */
    add_array(&w, "parameters", FILL_SUM, count);
    add_array(&w, "gradients", FILL_NOISE, count);
    add_array(&w, "exp_avg", FILL_SUM, count);
    add_array(&w, "exp_avg_sq", FILL_SUM, count);
    add_call(&w, (call){"adamw_step", "forward", adamw_step, NULL, FLOAT * 7.0 * (double) count, 0.0});
    return w;
}
