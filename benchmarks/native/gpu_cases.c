/* What gpu_bench measures: every op at the sizes of MQAR training and at sizes that fill a device. */
#include <math.h>
#include <string.h>

#include "gpu_bench.h"

enum { FLOAT = 4 };

int add_array(work *work, const char *name, fill fill, int64_t count) {
    work->arrays[work->array_count] = (array){.name = name, .fill = fill, .count = count};
    return work->array_count++;
}

void add_call(work *work, call call) {
    work->calls[work->call_count++] = call;
}

void add_size(work *work, const char *name, int64_t value) {
    for (int i = 0; i < MAX_SIZES - 1; i++) {
        if (work->sizes[i].name == NULL) {
            work->sizes[i] = (size){name, value};
            return;
        }
    }
}

static int add_labels(work *work, int64_t count, int64_t limit, int64_t period) {
    const int at = add_array(work, "labels", FILL_LABEL, count);
    work->arrays[at].limit = limit;
    work->arrays[at].period = period;
    return at;
}

static int add_bytes(work *work, const char *name, const void *bytes, int64_t count) {
    const int at = add_array(work, name, FILL_BYTES, count);
    work->arrays[at].bytes = bytes;
    return at;
}

static double product(int64_t a, int64_t b) {
    return (double) a * (double) b;
}

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

static work embedding_work(int64_t batch, int64_t length, int64_t channels, int64_t vocab) {
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

static work norm_work(int64_t rows, int64_t channels) {
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

static work gelu_work(int64_t count) {
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

static work scale_rows_work(int64_t rows, int64_t channels) {
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

static work swiglu_work(int64_t rows, int64_t channels) {
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

static work dropout_work(int64_t rows, int64_t channels) {
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

static work softmax_work(int64_t rows, int64_t columns) {
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

/* ---- attention, packed: (batch, length, 3, heads, head_dim) ---- */

enum { ATTENTION_QKV, ATTENTION_O, ATTENTION_LSE, ATTENTION_DO, ATTENTION_DQKV };

static int64_t attention_width(const work *w) {
    return w->desc.attention.heads * w->desc.attention.head_dim;
}

static pan_status attention_forward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_attention_forward_workspace_size(p->stream, &w->desc.attention, bytes);
}

static pan_status attention_forward(const work *w, const place *p) {
    const float *q = p->at[ATTENTION_QKV];
    const int64_t width = attention_width(w);
    return pan_attention_forward(p->stream, &w->desc.attention, NULL, NULL, q, q + width, q + 2 * width,
                                 p->at[ATTENTION_O], p->at[ATTENTION_LSE], p->workspace, p->workspace_bytes);
}

static pan_status attention_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_attention_backward_workspace_size(p->stream, &w->desc.attention, bytes);
}

static pan_status attention_backward(const work *w, const place *p) {
    const float *q = p->at[ATTENTION_QKV];
    float *dq = p->at[ATTENTION_DQKV];
    const int64_t width = attention_width(w);
    return pan_attention_backward(p->stream, &w->desc.attention, NULL, NULL, q, q + width, q + 2 * width,
                                  p->at[ATTENTION_O], p->at[ATTENTION_LSE], p->at[ATTENTION_DO], dq, dq + width,
                                  dq + 2 * width, p->workspace, p->workspace_bytes);
}

static work attention_work(int64_t batch, int64_t heads, int64_t length, int64_t head_dim, int64_t window) {
    work w = {.family = "attention"};
    const int64_t width = heads * head_dim;
    const pan_head_layout packed = {3 * length * width, 3 * width, head_dim};
    w.desc.attention = (pan_attention_desc){.struct_size = sizeof w.desc.attention,
                                            .scale = (float) (1.0 / sqrt((double) head_dim)),
                                            .batch = batch,
                                            .heads = heads,
                                            .length = length,
                                            .head_dim = head_dim,
                                            .window = window,
                                            .q = packed,
                                            .k = packed,
                                            .v = packed,
                                            .o = {length * width, width, head_dim}};
    add_size(&w, "batch", batch);
    add_size(&w, "heads", heads);
    add_size(&w, "length", length);
    add_size(&w, "head_dim", head_dim);
    add_size(&w, "window", window);
    const int64_t count = batch * length * width;
    add_array(&w, "qkv", FILL_NOISE, 3 * count);
    add_array(&w, "o", FILL_OUTPUT, count);
    add_array(&w, "lse", FILL_OUTPUT, batch * heads * length);
    add_array(&w, "do", FILL_NOISE, count);
    add_array(&w, "dqkv", FILL_OUTPUT, 3 * count);
    /* Pairs of a query and a key that it sees. */
    const double seen = window == 0 ? (double) length : (double) window;
    const double pairs = product(batch, heads) * (seen * (double) length - seen * (seen - 1.0) / 2.0);
    const double flops = 2.0 * pairs * (double) head_dim;
    add_call(&w, (call){"attention_forward", "forward", attention_forward, attention_forward_size,
                        FLOAT * 4.0 * (double) count, 2.0 * flops});
    add_call(&w, (call){"attention_backward", "backward", attention_backward, attention_backward_size,
                        FLOAT * 8.0 * (double) count, 4.0 * flops});
    return w;
}

/* ---- short convolution ---- */

enum { SHORT_X, SHORT_WEIGHT, SHORT_BIAS, SHORT_Y, SHORT_DY, SHORT_DX, SHORT_DWEIGHT, SHORT_DBIAS };

static pan_status short_conv_forward(const work *w, const place *p) {
    return pan_short_conv_forward(p->stream, &w->desc.short_conv, p->at[SHORT_X], p->at[SHORT_WEIGHT],
                                  p->at[SHORT_BIAS], p->at[SHORT_Y]);
}

static pan_status short_conv_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_short_conv_backward_workspace_size(p->stream, &w->desc.short_conv, bytes);
}

static pan_status short_conv_backward(const work *w, const place *p) {
    return pan_short_conv_backward(p->stream, &w->desc.short_conv, p->at[SHORT_X], p->at[SHORT_WEIGHT], p->at[SHORT_DY],
                                   p->at[SHORT_DX], p->at[SHORT_DWEIGHT], p->at[SHORT_DBIAS], p->workspace,
                                   p->workspace_bytes);
}

static work short_conv_work(int64_t batch, int64_t length, int64_t channels, int64_t taps) {
    work w = {.family = "short_conv"};
    w.desc.short_conv = (pan_short_conv_desc){.struct_size = sizeof w.desc.short_conv,
                                              .batch = batch,
                                              .length = length,
                                              .channels = channels,
                                              .taps = taps,
                                              .x_stride = channels,
                                              .y_stride = channels};
    add_size(&w, "batch", batch);
    add_size(&w, "length", length);
    add_size(&w, "channels", channels);
    add_size(&w, "taps", taps);
    const int64_t count = batch * length * channels;
    add_array(&w, "x", FILL_NOISE, count);
    add_array(&w, "weight", FILL_NOISE, channels * taps);
    add_array(&w, "bias", FILL_NOISE, channels);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "dx", FILL_OUTPUT, count);
    add_array(&w, "dweight", FILL_SUM, channels * taps);
    add_array(&w, "dbias", FILL_SUM, channels);
    const double flops = 2.0 * (double) count * (double) taps;
    add_call(&w,
             (call){"short_conv_forward", "forward", short_conv_forward, NULL, FLOAT * 2.0 * (double) count, flops});
    add_call(&w, (call){"short_conv_backward", "backward", short_conv_backward, short_conv_backward_size,
                        FLOAT * 3.0 * (double) count, 2.0 * flops});
    return w;
}

/* ---- long convolution ---- */

enum {
    LONG_H,
    LONG_SPECTRUM,
    LONG_U,
    LONG_PRE,
    LONG_POST,
    LONG_SKIP,
    LONG_Y,
    LONG_DY,
    LONG_DU,
    LONG_DPRE,
    LONG_DPOST,
    LONG_DH,
    LONG_DSKIP
};

static bool is_gated(const work *w) {
    return w->arrays[LONG_PRE].count > 1;
}

static pan_status long_conv_prepare_size(const work *w, const place *p, int64_t *bytes) {
    (void) w;
    return pan_long_conv_prepare_workspace_size(p->stream, p->plan, bytes);
}

static pan_status long_conv_prepare(const work *w, const place *p) {
    (void) w;
    return pan_long_conv_prepare(p->stream, p->plan, p->at[LONG_H], p->at[LONG_SPECTRUM], p->workspace,
                                 p->workspace_bytes);
}

static pan_status long_conv_forward_size(const work *w, const place *p, int64_t *bytes) {
    (void) w;
    return pan_long_conv_forward_workspace_size(p->stream, p->plan, bytes);
}

static pan_status long_conv_forward(const work *w, const place *p) {
    const bool gated = is_gated(w);
    return pan_long_conv_forward(p->stream, p->plan, p->at[LONG_SPECTRUM], p->at[LONG_U],
                                 gated ? p->at[LONG_PRE] : NULL, gated ? p->at[LONG_POST] : NULL, p->at[LONG_SKIP],
                                 p->at[LONG_Y], p->workspace, p->workspace_bytes);
}

static pan_status long_conv_backward_size(const work *w, const place *p, int64_t *bytes) {
    (void) w;
    return pan_long_conv_backward_workspace_size(p->stream, p->plan, bytes);
}

static pan_status long_conv_backward(const work *w, const place *p) {
    const bool gated = is_gated(w);
    return pan_long_conv_backward(p->stream, p->plan, p->at[LONG_SPECTRUM], p->at[LONG_U],
                                  gated ? p->at[LONG_PRE] : NULL, gated ? p->at[LONG_POST] : NULL, p->at[LONG_SKIP],
                                  p->at[LONG_DY], p->at[LONG_DU], gated ? p->at[LONG_DPRE] : NULL,
                                  gated ? p->at[LONG_DPOST] : NULL, p->at[LONG_DH], p->at[LONG_DSKIP], p->workspace,
                                  p->workspace_bytes);
}

/* Multiplications and additions of a complex transform of as many points. */
static double transform_flops(int64_t length) {
    double points = 8.0;
    while (points < (double) length) {
        points *= 2.0;
    }
    return 5.0 * points * log2(points);
}

work long_conv_work(int64_t batch, int64_t length, int64_t channels, int64_t taps, pan_conv_method method, bool gated) {
    work w = {.family = "long_conv", .has_plan = true};
    w.desc.long_conv = (pan_long_conv_desc){.struct_size = sizeof w.desc.long_conv,
                                            .method = method,
                                            .batch = batch,
                                            .length = length,
                                            .channels = channels,
                                            .taps = taps,
                                            .h_channel_stride = taps,
                                            .h_tap_stride = 1,
                                            .u_stride = channels,
                                            .pre_stride = channels,
                                            .post_stride = channels,
                                            .y_stride = channels};
    add_size(&w, "batch", batch);
    add_size(&w, "length", length);
    add_size(&w, "channels", channels);
    add_size(&w, "taps", taps);
    add_size(&w, "method", method);
    add_size(&w, "gated", gated);
    const int64_t count = batch * length * channels, gate = gated ? count : 1;
    add_array(&w, "h", FILL_NOISE, channels * taps);
    add_array(&w, "spectrum", FILL_OPAQUE, 0); /* the plan knows */
    add_array(&w, "u", FILL_NOISE, count);
    add_array(&w, "pre", FILL_NOISE, gate);
    add_array(&w, "post", FILL_NOISE, gate);
    add_array(&w, "skip", FILL_NOISE, channels);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "du", FILL_OUTPUT, count);
    add_array(&w, "dpre", gated ? FILL_OUTPUT : FILL_SUM, gate);
    add_array(&w, "dpost", gated ? FILL_OUTPUT : FILL_SUM, gate);
    add_array(&w, "dh", FILL_SUM, channels * taps);
    add_array(&w, "dskip", FILL_SUM, channels);
    const double columns = product(batch, channels), extra = gated ? 2.0 : 0.0;
    const int64_t reaching = taps < length ? taps : length;
    const double one =
        method == PAN_CONV_FFT
            ? columns * transform_flops(length)
            : 2.0 * columns * ((double) reaching * (double) length - product(reaching, reaching - 1) / 2.0);
    /* By FFT two transforms forward; backward two to the spectra and one or two back. Directly one sum forward and two
     * or three backward. */
    const bool fft = method == PAN_CONV_FFT;
    add_call(&w, (call){"long_conv_prepare", "prepare", long_conv_prepare, long_conv_prepare_size,
                        FLOAT * 2.0 * product(channels, taps), 0.0});
    add_call(&w, (call){"long_conv_forward", "forward", long_conv_forward, long_conv_forward_size,
                        FLOAT * (2.0 + extra) * (double) count, (fft ? 2.0 : 1.0) * one});
    add_call(&w, (call){"long_conv_backward", "backward", long_conv_backward, long_conv_backward_size,
                        FLOAT * (3.0 + 2.0 * extra) * (double) count, (fft ? 3.0 : 2.0) * one + (gated ? one : 0.0)});
    return w;
}

/* ---- implicit filters ---- */

enum { FEATURES_Z };

static pan_status positional_features(const work *w, const place *p) {
    return pan_positional_features(p->stream, &w->desc.features, p->at[FEATURES_Z]);
}

static work features_work(int64_t length, int64_t bands) {
    work w = {.family = "positional_features"};
    w.desc.features =
        (pan_positional_features_desc){.struct_size = sizeof w.desc.features, .length = length, .bands = bands};
    add_size(&w, "length", length);
    add_size(&w, "bands", bands);
    add_array(&w, "z", FILL_OUTPUT, length * (2 * bands + 1));
    add_call(&w, (call){"positional_features", "forward", positional_features, NULL,
                        FLOAT * product(length, 2 * bands + 1), 0.0});
    return w;
}

enum { SINE_X, SINE_FREQUENCY, SINE_Y, SINE_DY, SINE_DX, SINE_DFREQUENCY };

static pan_status sine_forward(const work *w, const place *p) {
    return pan_sine_layer_forward(p->stream, &w->desc.sine, p->at[SINE_X], p->at[SINE_FREQUENCY], p->at[SINE_Y]);
}

static pan_status sine_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_sine_layer_backward_workspace_size(p->stream, &w->desc.sine, bytes);
}

static pan_status sine_backward(const work *w, const place *p) {
    return pan_sine_layer_backward(p->stream, &w->desc.sine, p->at[SINE_X], p->at[SINE_FREQUENCY], p->at[SINE_DY],
                                   p->at[SINE_DX], p->at[SINE_DFREQUENCY], p->workspace, p->workspace_bytes);
}

static work sine_work(int64_t rows, int64_t channels) {
    work w = {.family = "sine_layer"};
    w.desc.sine = (pan_sine_layer_desc){.struct_size = sizeof w.desc.sine, .rows = rows, .channels = channels};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    const int64_t count = rows * channels;
    add_array(&w, "x", FILL_NOISE, count);
    add_array(&w, "frequency", FILL_POSITIVE, channels);
    add_array(&w, "y", FILL_OUTPUT, count);
    add_array(&w, "dy", FILL_NOISE, count);
    add_array(&w, "dx", FILL_OUTPUT, count);
    add_array(&w, "dfrequency", FILL_SUM, channels);
    add_call(&w, (call){"sine_layer_forward", "forward", sine_forward, NULL, FLOAT * 2.0 * (double) count, 0.0});
    add_call(&w, (call){"sine_layer_backward", "backward", sine_backward, sine_backward_size,
                        FLOAT * 3.0 * (double) count, 0.0});
    return w;
}

enum { MODULATION_X, MODULATION_RATE, MODULATION_Y };

static pan_status exponential_modulation(const work *w, const place *p) {
    return pan_exponential_modulation(p->stream, &w->desc.modulation, p->at[MODULATION_X], p->at[MODULATION_RATE],
                                      p->at[MODULATION_Y]);
}

static work modulation_work(int64_t length, int64_t channels) {
    work w = {.family = "exponential_modulation"};
    w.desc.modulation = (pan_exponential_modulation_desc){.struct_size = sizeof w.desc.modulation,
                                                          .length = length,
                                                          .channels = channels,
                                                          .time_step = 1.0 / (double) length,
                                                          .shift = 0.05};
    add_size(&w, "length", length);
    add_size(&w, "channels", channels);
    add_array(&w, "x", FILL_NOISE, length * channels);
    add_array(&w, "rate", FILL_POSITIVE, channels);
    add_array(&w, "y", FILL_OUTPUT, length * channels);
    add_call(&w, (call){"exponential_modulation", "forward", exponential_modulation, NULL,
                        FLOAT * 2.0 * product(length, channels), 0.0});
    return w;
}

/* ---- vocabulary loss ---- */

enum {
    VOCABULARY_HIDDEN,
    VOCABULARY_WEIGHT,
    VOCABULARY_LABELS,
    VOCABULARY_LOSS,
    VOCABULARY_COUNT,
    VOCABULARY_ROW_LOSS,
    VOCABULARY_LSE,
    VOCABULARY_ARG_MAX,
    VOCABULARY_DLOSS,
    VOCABULARY_DHIDDEN,
    VOCABULARY_DWEIGHT
};

static pan_status vocabulary_forward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_vocabulary_loss_forward_workspace_size(p->stream, &w->desc.vocabulary, bytes);
}

static pan_status vocabulary_forward(const work *w, const place *p) {
    return pan_vocabulary_loss_forward(p->stream, &w->desc.vocabulary, p->at[VOCABULARY_HIDDEN],
                                       p->at[VOCABULARY_WEIGHT], p->at[VOCABULARY_LABELS], p->at[VOCABULARY_LOSS],
                                       p->at[VOCABULARY_COUNT], p->at[VOCABULARY_ROW_LOSS], p->at[VOCABULARY_LSE],
                                       p->at[VOCABULARY_ARG_MAX], p->workspace, p->workspace_bytes);
}

static pan_status vocabulary_backward_size(const work *w, const place *p, int64_t *bytes) {
    return pan_vocabulary_loss_backward_workspace_size(p->stream, &w->desc.vocabulary, bytes);
}

static pan_status vocabulary_backward(const work *w, const place *p) {
    return pan_vocabulary_loss_backward(p->stream, &w->desc.vocabulary, p->at[VOCABULARY_HIDDEN],
                                        p->at[VOCABULARY_WEIGHT], p->at[VOCABULARY_LABELS], p->at[VOCABULARY_COUNT],
                                        p->at[VOCABULARY_LSE], p->at[VOCABULARY_DLOSS], p->at[VOCABULARY_DHIDDEN],
                                        p->at[VOCABULARY_DWEIGHT], p->workspace, p->workspace_bytes);
}

static work vocabulary_work(int64_t rows, int64_t channels, int64_t vocab, int64_t period) {
    static const float one = 1.0f;
    work w = {.family = "vocabulary_loss"};
    w.desc.vocabulary = (pan_vocabulary_loss_desc){.struct_size = sizeof w.desc.vocabulary,
                                                   .rows = rows,
                                                   .channels = channels,
                                                   .vocab_size = vocab,
                                                   .hidden_stride = channels};
    add_size(&w, "rows", rows);
    add_size(&w, "channels", channels);
    add_size(&w, "vocab", vocab);
    add_size(&w, "label_period", period);
    add_array(&w, "hidden", FILL_NOISE, rows * channels);
    add_array(&w, "weight", FILL_NOISE, vocab * channels);
    add_labels(&w, rows, vocab, period);
    add_array(&w, "loss", FILL_OUTPUT, 1);
    add_array(&w, "labelled_count", FILL_INTEGERS, 1);
    add_array(&w, "row_loss", FILL_OUTPUT, rows);
    add_array(&w, "lse", FILL_OUTPUT, rows);
    add_array(&w, "arg_max", FILL_INTEGERS, rows);
    add_bytes(&w, "dloss", &one, sizeof one);
    add_array(&w, "dhidden", FILL_OUTPUT, rows * channels);
    add_array(&w, "dweight", FILL_SUM, vocab * channels);
    const double labelled = (double) ((rows + period - 1) / period);
    const double hidden = labelled * (double) channels, weight = product(vocab, channels);
    const double flops = 2.0 * hidden * (double) vocab;
    add_call(&w, (call){"vocabulary_loss_forward", "forward", vocabulary_forward, vocabulary_forward_size,
                        FLOAT * (hidden + weight + 4.0 * (double) rows), flops});
    add_call(&w, (call){"vocabulary_loss_backward", "backward", vocabulary_backward, vocabulary_backward_size,
                        FLOAT * (hidden + product(rows, channels) + 3.0 * weight + 2.0 * (double) rows), 2.0 * flops});
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

static work reduce_work(const char *family, pan_reduction kind, int64_t count, int64_t inner) {
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

static work adamw_work(int64_t count) {
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

/* ---- all ---- */

static void visit(visit_work *visitor, void *context, work w) {
    visitor(&w, context);
}

static void for_each_small(visit_work *v, void *context) {
    visit(v, context, linear_work(70, 33, 65));
    visit(v, context, embedding_work(3, 17, 40, 50));
    visit(v, context, norm_work(70, 33));
    visit(v, context, gelu_work(1000));
    visit(v, context, scale_rows_work(65, 33));
    visit(v, context, swiglu_work(65, 36));
    visit(v, context, dropout_work(65, 33));
    visit(v, context, softmax_work(65, 70));
    visit(v, context, attention_work(2, 2, 70, 16, 0));
    visit(v, context, attention_work(2, 1, 140, 80, 33));
    visit(v, context, short_conv_work(2, 70, 33, 3));
    visit(v, context, long_conv_work(2, 70, 33, 70, PAN_CONV_DIRECT, true));
    visit(v, context, long_conv_work(2, 70, 33, 70, PAN_CONV_FFT, true));
    visit(v, context, long_conv_work(2, 70, 33, 40, PAN_CONV_FFT, false));
    visit(v, context, features_work(65, 1));
    visit(v, context, sine_work(65, 33));
    visit(v, context, modulation_work(65, 33));
    visit(v, context, vocabulary_work(130, 33, 200, 3));
    visit(v, context, reduce_work("sum_of_squares", PAN_REDUCE_SUM_OF_SQUARES, 5000, 1));
    visit(v, context, reduce_work("sum_of_rows", PAN_REDUCE_SUM, 70, 40));
    visit(v, context, adamw_work(1000));
}

void for_each_work(bool small, visit_work *v, void *context) {
    enum { MANY = 1 << 25 };
    if (small) {
        for_each_small(v, context);
        return;
    }
    visit(v, context, linear_work(32768, 64, 192));
    visit(v, context, linear_work(32768, 128, 512));
    visit(v, context, linear_work(8192, 1024, 4096));
    visit(v, context, embedding_work(512, 64, 64, 8192));
    visit(v, context, embedding_work(32, 2048, 512, 8192));
    visit(v, context, norm_work(32768, 64));
    visit(v, context, norm_work(65536, 512));
    visit(v, context, gelu_work(32768 * 256));
    visit(v, context, gelu_work(MANY));
    visit(v, context, scale_rows_work(65536, 512));
    visit(v, context, swiglu_work(65536, 512));
    visit(v, context, dropout_work(32768, 64));
    visit(v, context, dropout_work(65536, 512));
    visit(v, context, softmax_work(32768, 64));
    visit(v, context, softmax_work(16384, 2048));
    visit(v, context, attention_work(512, 1, 64, 64, 0));
    visit(v, context, attention_work(64, 2, 512, 64, 0));
    visit(v, context, attention_work(4, 16, 2048, 64, 0));
    visit(v, context, attention_work(4, 8, 2048, 128, 0));
    visit(v, context, attention_work(4, 16, 4096, 64, 256));
    visit(v, context, short_conv_work(512, 64, 192, 3));
    visit(v, context, short_conv_work(16, 2048, 1024, 4));
    visit(v, context, long_conv_work(512, 64, 64, 64, PAN_CONV_DIRECT, true));
    visit(v, context, long_conv_work(512, 64, 64, 64, PAN_CONV_FFT, true));
    visit(v, context, long_conv_work(64, 512, 128, 512, PAN_CONV_FFT, true));
    visit(v, context, long_conv_work(8, 4096, 512, 4096, PAN_CONV_FFT, false));
    visit(v, context, long_conv_work(4, 65536, 128, 65536, PAN_CONV_FFT, true));
    visit(v, context, features_work(65536, 1));
    visit(v, context, sine_work(65536, 64));
    visit(v, context, modulation_work(65536, 128));
    visit(v, context, vocabulary_work(2048, 64, 8192, 1));
    visit(v, context, vocabulary_work(32768, 64, 8192, 16));
    visit(v, context, vocabulary_work(8192, 128, 8192, 1));
    visit(v, context, reduce_work("sum_of_squares", PAN_REDUCE_SUM_OF_SQUARES, MANY, 1));
    visit(v, context, reduce_work("sum_of_rows", PAN_REDUCE_SUM, 65536, 512));
    visit(v, context, adamw_work(1 << 20));
    visit(v, context, adamw_work(MANY));
}
