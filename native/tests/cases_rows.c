/* Cases of the ops that map rows to rows: linear, embedding, norms, softmax. */
#include <math.h>

#include "cases.h"

/* ---- linear ---- */

static pan_linear_desc *linear_desc(call *call, int variant) {
    int64_t rows = ragged(variant, 0), in = ragged(variant, 1);
    int64_t out = at_most(ragged(variant, 2), 2000000 / (rows * in));
    int64_t padding = variant % 3 == 1 ? 3 : 0;
    pan_linear_desc *desc = DESC(call, pan_linear_desc);
    *desc = (pan_linear_desc){.struct_size = sizeof *desc,
                              .rows = rows,
                              .in_features = in,
                              .out_features = out,
                              .x_stride = in + padding,
                              .y_stride = out + 2 * padding};
    call->work = (double) rows * (double) in * (double) out;
    return desc;
}

static bool linear_has_bias(int variant) {
    return variant % 2 == 0;
}

static void prepare_linear_forward(call *call, int variant) {
    const pan_linear_desc *desc = linear_desc(call, variant);
    add_rows(call, "x", INPUT, desc->rows, desc->in_features, desc->x_stride);
    add_rows(call, "weight", INPUT, desc->out_features, desc->in_features, desc->in_features);
    make_optional(call, add_vector(call, "bias", INPUT, desc->out_features), linear_has_bias(variant));
    add_rows(call, "y", OUTPUT, desc->rows, desc->out_features, desc->y_stride);
}

static pan_status invoke_linear_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                        int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_linear_forward(stream, desc, a[0], a[1], a[2], a[3]);
}

static void prepare_linear_backward(call *call, int variant) {
    const pan_linear_desc *desc = linear_desc(call, variant);
    relate(call, add_rows(call, "x", INPUT, desc->rows, desc->in_features, desc->x_stride), VALUE_OF, 0);
    relate(call, add_rows(call, "weight", INPUT, desc->out_features, desc->in_features, desc->in_features), VALUE_OF,
           1);
    relate(call, add_rows(call, "dy", INPUT, desc->rows, desc->out_features, desc->y_stride), COTANGENT_OF, 3);
    int dx = add_rows(call, "dx", OUTPUT, desc->rows, desc->in_features, desc->x_stride);
    int dweight = add_rows(call, "dweight", ADDED, desc->out_features, desc->in_features, desc->in_features);
    int dbias = add_vector(call, "dbias", ADDED, desc->out_features);
    relate(call, dx, GRADIENT_OF, 0);
    relate(call, dweight, GRADIENT_OF, 1);
    relate(call, dbias, GRADIENT_OF, 2);
    make_optional(call, dx, variant % 4 != 1);
    make_optional(call, dweight, variant % 4 != 2);
    make_optional(call, dbias, variant % 4 != 3);
}

static pan_status invoke_linear_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                         int64_t bytes) {
    return pan_linear_backward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], workspace, bytes);
}

static pan_status linear_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_linear_backward_workspace_size(stream, desc, bytes);
}

#define LINEAR_FIELDS                                                                                         \
    {                                                                                                         \
        FIELD(pan_linear_desc, rows, FIELD_SIZE), FIELD(pan_linear_desc, in_features, FIELD_SIZE),            \
            FIELD(pan_linear_desc, out_features, FIELD_SIZE), FIELD(pan_linear_desc, x_stride, FIELD_STRIDE), \
            FIELD(pan_linear_desc, y_stride, FIELD_STRIDE)                                                    \
    }

/* ---- embedding ---- */

static pan_embedding_desc *embedding_desc(call *call, int variant) {
    int64_t batch = at_most(ragged(variant, 2), 17), length = at_most(ragged(variant, 0), 257);
    pan_embedding_desc *desc = DESC(call, pan_embedding_desc);
    *desc = (pan_embedding_desc){.struct_size = sizeof *desc,
                                 .batch = batch,
                                 .length = length,
                                 .channels = at_most(ragged(variant, 1), 60000 / (batch * length)),
                                 .vocab_size = at_most(ragged(variant, 3), 257),
                                 .positions = variant % 3 == 0 ? 0 : length + variant % 3 - 1};
    call->work = (double) (batch * length * desc->channels);
    return desc;
}

static void prepare_embedding_forward(call *call, int variant) {
    const pan_embedding_desc *desc = embedding_desc(call, variant);
    int64_t positions = desc->positions == 0 ? 1 : desc->positions;
    add_integers(call, "ids", INPUT, desc->batch * desc->length, 0, desc->vocab_size);
    add_rows(call, "table", INPUT, desc->vocab_size, desc->channels, desc->channels);
    add_rows(call, "position_table", INPUT, positions, desc->channels, desc->channels);
    call->views[2].present = desc->positions != 0;
    add_rows(call, "y", OUTPUT, desc->batch * desc->length, desc->channels, desc->channels);
}

static pan_status invoke_embedding_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                           int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_embedding_forward(stream, desc, a[0], a[1], a[2], a[3]);
}

static void prepare_embedding_backward(call *call, int variant) {
    const pan_embedding_desc *desc = embedding_desc(call, variant);
    int64_t positions = desc->positions == 0 ? 1 : desc->positions;
    relate(call, add_integers(call, "ids", INPUT, desc->batch * desc->length, 0, 1), VALUE_OF, 0);
    int dy = add_rows(call, "dy", INPUT, desc->batch * desc->length, desc->channels, desc->channels);
    int dtable = add_rows(call, "dtable", ADDED, desc->vocab_size, desc->channels, desc->channels);
    int dposition = add_rows(call, "dposition_table", ADDED, positions, desc->channels, desc->channels);
    relate(call, dy, COTANGENT_OF, 3);
    relate(call, dtable, GRADIENT_OF, 1);
    relate(call, dposition, GRADIENT_OF, 2);
    make_optional(call, dtable, variant % 5 != 4);
    make_optional(call, dposition, desc->positions != 0 && variant % 5 != 3);
}

static pan_status invoke_embedding_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_embedding_backward(stream, desc, a[0], a[1], a[2], a[3]);
}

#define EMBEDDING_FIELDS                                                                                       \
    {                                                                                                          \
        FIELD(pan_embedding_desc, batch, FIELD_SIZE), FIELD(pan_embedding_desc, length, FIELD_SIZE),           \
            FIELD(pan_embedding_desc, channels, FIELD_SIZE), FIELD(pan_embedding_desc, vocab_size, FIELD_SIZE) \
    }

/* ---- norms ---- */

static pan_norm_desc *norm_desc(call *call, int variant) {
    int64_t rows = ragged(variant, 0), channels = at_most(ragged(variant, 1), 40000 / rows);
    pan_norm_desc *desc = DESC(call, pan_norm_desc);
    *desc = (pan_norm_desc){.struct_size = sizeof *desc,
                            .kind = variant / SIZE_COUNT % 2,
                            /* A layer norm of two channels gives +-1 whatever they hold, so that its gradient is of
                              * epsilon's size and the rest cancels. */
                            .epsilon = channels <= 3 ? 0.25f : 1e-5f,
                            .rows = rows,
                            .channels = channels,
                            .stride = channels + (variant % 3 == 1 ? 5 : 0)};
    call->work = (double) (4 * rows * channels);
    return desc;
}

static bool norm_has_residual(int variant) {
    return variant % 4 < 2;
}

static void prepare_norm_forward(call *call, int variant) {
    const pan_norm_desc *desc = norm_desc(call, variant);
    int x = add_rows(call, "x", INPUT, desc->rows, desc->channels, desc->stride);
    /* A mean much larger than the deviation: what E[x^2] - E[x]^2 would lose. */
    if (variant % 5 == 4) {
        for (int64_t i = 0; i < view_count(&call->views[x]); i++) {
            double *value = &call->blocks[x].values[view_element(&call->views[x], i)];
            *value = (float) (*value + 50.0);
        }
    }
    add_rows(call, "residual", INPUT, desc->rows, desc->channels, desc->stride);
    add_vector(call, "weight", INPUT, desc->channels);
    make_optional(call, add_vector(call, "bias", INPUT, desc->channels), variant % 2 == 0);
    add_rows(call, "sum", OUTPUT, desc->rows, desc->channels, desc->stride);
    call->views[1].present = call->views[4].present = norm_has_residual(variant);
    add_rows(call, "y", OUTPUT, desc->rows, desc->channels, desc->stride);
    add_vector(call, "mean", OUTPUT, desc->rows);
    call->views[6].present = desc->kind == PAN_NORM_LAYER;
    add_vector(call, "rstd", OUTPUT, desc->rows);
}

static pan_status invoke_norm_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                      int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_norm_forward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
}

static void prepare_norm_backward(call *call, int variant) {
    const pan_norm_desc *desc = norm_desc(call, variant);
    bool residual = norm_has_residual(variant), layer = desc->kind == PAN_NORM_LAYER;
    relate(call, add_rows(call, "sum", INPUT, desc->rows, desc->channels, desc->stride), VALUE_OF, residual ? 4 : 0);
    relate(call, add_vector(call, "weight", INPUT, desc->channels), VALUE_OF, 2);
    int mean = add_vector(call, "mean", INPUT, desc->rows);
    relate(call, mean, layer ? VALUE_OF : UNRELATED, 6);
    call->views[mean].present = layer;
    relate(call, add_vector(call, "rstd", INPUT, desc->rows), VALUE_OF, 7);
    int dsum = add_rows(call, "dsum", INPUT, desc->rows, desc->channels, desc->stride);
    relate(call, dsum, COTANGENT_OF, 4);
    make_optional(call, dsum, residual && variant % 8 != 0);
    relate(call, add_rows(call, "dy", INPUT, desc->rows, desc->channels, desc->stride), COTANGENT_OF, 5);
    int dx = add_rows(call, "dx", OUTPUT, desc->rows, desc->channels, desc->stride);
    int dweight = add_vector(call, "dweight", ADDED, desc->channels);
    int dbias = add_vector(call, "dbias", ADDED, desc->channels);
    relate(call, dx, GRADIENT_OF, 0);
    relate(call, dweight, GRADIENT_OF, 2);
    relate(call, dbias, GRADIENT_OF, 3);
    make_optional(call, dx, variant % 7 != 3);
    make_optional(call, dweight, variant % 7 != 4);
    make_optional(call, dbias, variant % 7 != 5);
}

static pan_status invoke_norm_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                       int64_t bytes) {
    return pan_norm_backward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], workspace, bytes);
}

static pan_status norm_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_norm_backward_workspace_size(stream, desc, bytes);
}

/* A layer norm of one channel gives its bias: every term of dx cancels. */
static double norm_backward_cancelling(const call *call, int view) {
    bool cancels = DESC(call, const pan_norm_desc)->channels == 1 && view == 6;
    return cancels ? largest_value(call, 1) * largest_value(call, 3) * largest_value(call, 5) : 0.0;
}

#define NORM_FIELDS                                                                             \
    {                                                                                           \
        FIELD_ENUM(pan_norm_desc, kind, 2), FIELD(pan_norm_desc, epsilon, FIELD_EPSILON),       \
            FIELD(pan_norm_desc, rows, FIELD_SIZE), FIELD(pan_norm_desc, channels, FIELD_SIZE), \
            FIELD(pan_norm_desc, stride, FIELD_STRIDE)                                          \
    }

/* ---- softmax ---- */

static pan_softmax_desc *softmax_desc(call *call, int variant) {
    pan_softmax_desc *desc = DESC(call, pan_softmax_desc);
    *desc = (pan_softmax_desc){.struct_size = sizeof *desc,
                               .rows = at_most(ragged(variant, 0), 40000 / ragged(variant, 1)),
                               .columns = ragged(variant, 1)};
    call->work = 10.0 * (double) (desc->rows * desc->columns);
    return desc;
}

static void prepare_softmax_forward(call *call, int variant) {
    const pan_softmax_desc *desc = softmax_desc(call, variant);
    scale_values(call, add_rows(call, "x", INPUT, desc->rows, desc->columns, desc->columns), variant % 2 ? 30.0 : 2.0);
    add_rows(call, "y", OUTPUT, desc->rows, desc->columns, desc->columns);
}

static pan_status invoke_softmax_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                         int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_softmax_forward(stream, desc, a[0], a[1]);
}

static void prepare_softmax_backward(call *call, int variant) {
    const pan_softmax_desc *desc = softmax_desc(call, variant);
    relate(call, add_rows(call, "y", INPUT, desc->rows, desc->columns, desc->columns), VALUE_OF, 1);
    relate(call, add_rows(call, "dy", INPUT, desc->rows, desc->columns, desc->columns), COTANGENT_OF, 1);
    relate(call, add_rows(call, "dx", OUTPUT, desc->rows, desc->columns, desc->columns), GRADIENT_OF, 0);
}

static pan_status invoke_softmax_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                          int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_softmax_backward(stream, desc, a[0], a[1], a[2]);
}

/* Where one element has all the weight, dx is y dy - y (y . dy), and 0. */
static double softmax_backward_cancelling(const call *call, int view) {
    (void) view;
    return largest_value(call, 0) * largest_value(call, 1);
}

#define SOFTMAX_FIELDS \
    { FIELD(pan_softmax_desc, rows, FIELD_SIZE), FIELD(pan_softmax_desc, columns, FIELD_SIZE) }

/* ---- the k largest ---- */

/* More are wanted of some rows than they have; every other row has many equal elements. */
static void prepare_top_k_mask(call *call, int variant) {
    const int64_t columns = ragged(variant, 1), k = ragged(variant, 2);
    pan_top_k_mask_desc *desc = DESC(call, pan_top_k_mask_desc);
    *desc = (pan_top_k_mask_desc){.struct_size = sizeof *desc,
                                  .rows = at_most(ragged(variant, 0), 40000 / columns),
                                  .columns = columns,
                                  .k = variant % 3 == 0 ? k : (columns + 3) / 4};
    call->work = 100.0 * (double) (desc->rows * columns);
    const int x = add_rows(call, "x", INPUT, desc->rows, columns, columns);
    double *values = call->blocks[call->views[x].block].values;
    for (int64_t i = 0; i < desc->rows * columns; i++) {
        values[i] = i / columns % 2 ? round(2.0 * values[i]) : values[i];
    }
    add_rows(call, "y", OUTPUT, desc->rows, columns, columns);
}

static pan_status invoke_top_k_mask(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                    int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_top_k_mask(stream, desc, a[0], a[1]);
}

#define TOP_K_MASK_FIELDS                                                                              \
    {                                                                                                  \
        FIELD(pan_top_k_mask_desc, rows, FIELD_SIZE), FIELD(pan_top_k_mask_desc, columns, FIELD_SIZE), \
            FIELD(pan_top_k_mask_desc, k, FIELD_SIZE)                                                  \
    }

enum {
    LINEAR,
    LINEAR_BACKWARD,
    EMBEDDING,
    EMBEDDING_BACKWARD,
    NORM,
    NORM_BACKWARD,
    SOFTMAX,
    SOFTMAX_BACKWARD,
    TOP_K_MASK,
    END
};

const op_case ROW_CASES[] = {
    [LINEAR] = {.op = "linear_forward",
                .variants = 2 * SIZE_COUNT,
                .tolerance = 3e-6,
                .prepare = prepare_linear_forward,
                .invoke = invoke_linear_forward,
                .desc_size = sizeof(pan_linear_desc),
                .fields = LINEAR_FIELDS},
    [LINEAR_BACKWARD] = {.op = "linear_backward",
                         .variants = 2 * SIZE_COUNT,
                         .tolerance = 3e-6,
                         .prepare = prepare_linear_backward,
                         .invoke = invoke_linear_backward,
                         .workspace = linear_backward_workspace,
                         .forward = &ROW_CASES[LINEAR],
                         .desc_size = sizeof(pan_linear_desc),
                         .fields = LINEAR_FIELDS},
    [EMBEDDING] = {.op = "embedding_forward",
                   .variants = 2 * SIZE_COUNT,
                   .tolerance = 1e-7,
                   .prepare = prepare_embedding_forward,
                   .invoke = invoke_embedding_forward,
                   .desc_size = sizeof(pan_embedding_desc),
                   .fields = EMBEDDING_FIELDS},
    [EMBEDDING_BACKWARD] = {.op = "embedding_backward",
                            .variants = 2 * SIZE_COUNT,
                            .tolerance = 2e-6,
                            .prepare = prepare_embedding_backward,
                            .invoke = invoke_embedding_backward,
                            .forward = &ROW_CASES[EMBEDDING],
                            .desc_size = sizeof(pan_embedding_desc),
                            .fields = EMBEDDING_FIELDS},
    [NORM] = {.op = "norm_forward",
              .variants = 4 * SIZE_COUNT,
              .tolerance = 3e-6,
              .prepare = prepare_norm_forward,
              .invoke = invoke_norm_forward,
              .aliases = {{4, 0}, {4, 1}},
              .desc_size = sizeof(pan_norm_desc),
              .fields = NORM_FIELDS},
    [NORM_BACKWARD] = {.op = "norm_backward",
                       .variants = 4 * SIZE_COUNT,
                       .tolerance = 3e-6,
                       .prepare = prepare_norm_backward,
                       .invoke = invoke_norm_backward,
                       .cancelling = norm_backward_cancelling,
                       .workspace = norm_backward_workspace,
                       .forward = &ROW_CASES[NORM],
                       .aliases = {{6, 4}, {6, 5}},
                       .desc_size = sizeof(pan_norm_desc),
                       .fields = NORM_FIELDS},
    [SOFTMAX] = {.op = "softmax_forward",
                 .variants = 2 * SIZE_COUNT,
                 .tolerance = 2e-6,
                 .prepare = prepare_softmax_forward,
                 .invoke = invoke_softmax_forward,
                 .aliases = {{1, 0}},
                 .desc_size = sizeof(pan_softmax_desc),
                 .fields = SOFTMAX_FIELDS},
    [SOFTMAX_BACKWARD] = {.op = "softmax_backward",
                          .variants = 2 * SIZE_COUNT,
                          .tolerance = 2e-6,
                          .prepare = prepare_softmax_backward,
                          .invoke = invoke_softmax_backward,
                          .cancelling = softmax_backward_cancelling,
                          .forward = &ROW_CASES[SOFTMAX],
                          .aliases = {{2, 1}},
                          .desc_size = sizeof(pan_softmax_desc),
                          .fields = SOFTMAX_FIELDS},
    [TOP_K_MASK] = {.op = "top_k_mask",
                    .variants = 3 * SIZE_COUNT,
                    .tolerance = 1e-9,
                    .prepare = prepare_top_k_mask,
                    .invoke = invoke_top_k_mask,
                    .desc_size = sizeof(pan_top_k_mask_desc),
                    .fields = TOP_K_MASK_FIELDS},
    [END] = {0},
};
