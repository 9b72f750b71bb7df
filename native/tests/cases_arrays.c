/* Cases of the products, copies, sums and systems of equations that take arrays of any kind. */
#include <math.h>

#include "cases.h"

#define UNUSED_WORKSPACE \
    (void) workspace;    \
    (void) bytes

/* ---- matrix products ---- */

/* The last two have sums so long that they are cut. */
static const int64_t PRODUCTS[][4] = {{1, 1, 1, 1},      {3, 1, 17, 8},     {2, 65, 1, 33},    {5, 7, 8, 1},
                                      {4, 16, 16, 16},   {3, 63, 65, 64},   {2, 100, 127, 15}, {1, 257, 3, 100},
                                      {9, 8, 7, 17},     {2, 300, 130, 40}, {1, 2, 600, 257},  {7, 1, 1, 1000},
                                      {1, 33, 65, 1500}, {2, 20, 33, 2000}};

static pan_matmul_desc *matmul_desc(call *call, int variant) {
    const int64_t *size = PRODUCTS[variant / 4];
    const int64_t batch = size[0], m = size[1], n = size[2], k = size[3];
    const int32_t a_transposed = variant % 2, b_transposed = variant / 2 % 2;
    const int layout = variant % 5;
    const int64_t a_rows = a_transposed ? k : m, a_columns = a_transposed ? m : k;
    const int64_t b_rows = b_transposed ? n : k, b_columns = b_transposed ? k : n;
    pan_matmul_desc *desc = DESC(call, pan_matmul_desc);
    *desc = (pan_matmul_desc){.struct_size = sizeof *desc,
                              .alpha = variant % 3 == 0 ? 1.0f : -0.375f,
                              .accumulate = variant % 7 < 3,
                              .a_transposed = a_transposed,
                              .b_transposed = b_transposed,
                              .batch = batch,
                              .m = m,
                              .n = n,
                              .k = k,
                              .a_stride = a_columns + (layout == 1 ? 3 : 0),
                              .b_stride = b_columns + (layout == 2 ? 5 : 0),
                              .y_stride = n + (layout == 3 ? 2 : 0)};
    desc->a_batch_stride = variant % 6 == 4 ? 0 : a_rows * desc->a_stride;
    desc->b_batch_stride = variant % 6 == 5 ? 0 : b_rows * desc->b_stride + (layout == 4 ? 11 : 0);
    desc->y_batch_stride = m * desc->y_stride + (layout == 4 ? 7 : 0);
    call->work = (double) (batch * m * n * k);
    return desc;
}

static int add_matrices(call *call, const char *name, role role, int64_t rows, int64_t columns, int64_t stride,
                        int64_t batch_stride) {
    const int64_t batch = batch_stride == 0 ? 1 : DESC(call, pan_matmul_desc)->batch;
    const int64_t sizes[] = {batch, rows, columns}, strides[] = {batch_stride, stride, 1};
    const int64_t extent = (batch - 1) * batch_stride + (rows - 1) * stride + columns;
    return add_window(call, name, role, add_block(call, REAL, extent), 0, 3, sizes, strides);
}

static void prepare_matmul(call *call, int variant) {
    const pan_matmul_desc *desc = matmul_desc(call, variant);
    const int64_t m = desc->m, n = desc->n, k = desc->k;
    add_matrices(call, "a", INPUT, desc->a_transposed ? k : m, desc->a_transposed ? m : k, desc->a_stride,
                 desc->a_batch_stride);
    add_matrices(call, "b", INPUT, desc->b_transposed ? n : k, desc->b_transposed ? k : n, desc->b_stride,
                 desc->b_batch_stride);
    add_matrices(call, "y", desc->accumulate ? ADDED : OUTPUT, m, n, desc->y_stride, desc->y_batch_stride);
}

static pan_status invoke_matmul(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    return pan_matmul(stream, desc, a[0], a[1], a[2], workspace, bytes);
}

static pan_status matmul_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_matmul_workspace_size(stream, desc, bytes);
}

/* The terms of a sum that cancels. */
static double matmul_terms(const call *call, int view) {
    (void) view;
    return sqrt((double) DESC(call, const pan_matmul_desc)->k);
}

#define MATMUL_FIELDS                                                                                       \
    {                                                                                                       \
        FIELD_ENUM(pan_matmul_desc, accumulate, 2), FIELD_ENUM(pan_matmul_desc, a_transposed, 2),           \
            FIELD_ENUM(pan_matmul_desc, b_transposed, 2), FIELD(pan_matmul_desc, batch, FIELD_SIZE),        \
            FIELD(pan_matmul_desc, m, FIELD_SIZE), FIELD(pan_matmul_desc, n, FIELD_SIZE),                   \
            FIELD(pan_matmul_desc, k, FIELD_SIZE), FIELD(pan_matmul_desc, a_stride, FIELD_STRIDE),          \
            FIELD(pan_matmul_desc, b_stride, FIELD_STRIDE), FIELD(pan_matmul_desc, y_stride, FIELD_STRIDE), \
            FIELD(pan_matmul_desc, y_batch_stride, FIELD_STRIDE)                                            \
    }

/* ---- strided copies ---- */

typedef struct copy_layout {
    int32_t rank;
    int64_t shape[PAN_MAX_RANK], source_stride[PAN_MAX_RANK], target_stride[PAN_MAX_RANK];
} copy_layout;

static const copy_layout COPIES[] = {
    {1, {1}, {1}, {1}},
    {1, {257}, {1}, {1}},
    {1, {100000}, {1}, {1}},
    {1, {65}, {0}, {1}},
    {1, {63}, {3}, {2}},
    {2, {17, 63}, {63, 1}, {63, 1}},
    {2, {17, 63}, {63, 1}, {80, 1}},                              /* into columns of a wider array */
    {2, {16, 100}, {127, 1}, {100, 1}},                           /* columns of a wider array */
    {2, {63, 65}, {1, 63}, {65, 1}},                              /* a transposition */
    {2, {63, 65}, {65, 1}, {1, 63}},                              /* the same, stored the other way */
    {2, {1000, 3}, {3, 1}, {1, 1000}},                            /* of a narrow array */
    {2, {3, 1000}, {1000, 1}, {1, 3}},                            /* of a wide one */
    {2, {257, 127}, {0, 1}, {127, 1}},                            /* a row for all */
    {2, {100, 65}, {1, 0}, {65, 1}},                              /* a column for all */
    {2, {7, 8}, {0, 0}, {8, 1}},                                  /* a number for all */
    {2, {30, 7}, {1, 1}, {7, 1}},                                 /* windows that overlap in the source */
    {3, {1, 40, 1}, {0, 1, 0}, {0, 1, 0}},                        /* strides of a single entry do not matter */
    {4, {3, 17, 2, 16}, {544, 32, 16, 1}, {544, 16, 272, 1}},     /* heads to the front */
    {4, {2, 3, 5, 7}, {105, 35, 7, 1}, {1, 2, 6, 30}},            /* all dimensions reversed */
    {5, {2, 3, 1, 9, 8}, {0, 8, 5, 24, 1}, {400, 100, 7, 10, 1}}, /* with gaps */
    {6, {2, 3, 2, 4, 3, 5}, {360, 120, 60, 15, 5, 1}, {3, 1, 360, 90, 30, 6}},
    {6, {2, 2, 2, 2, 2, 2}, {1, 2, 4, 8, 16, 32}, {32, 16, 8, 4, 2, 1}},
};

static pan_strided_copy_desc *copy_desc(call *call, int variant) {
    const copy_layout *layout = &COPIES[variant / 2];
    pan_strided_copy_desc *desc = DESC(call, pan_strided_copy_desc);
    *desc = (pan_strided_copy_desc){.struct_size = sizeof *desc, .rank = layout->rank, .accumulate = variant % 2};
    memcpy(desc->shape, layout->shape, sizeof desc->shape);
    memcpy(desc->source_stride, layout->source_stride, sizeof desc->source_stride);
    memcpy(desc->target_stride, layout->target_stride, sizeof desc->target_stride);
    call->work = 20000.0;
    return desc;
}

static int add_strided(call *call, const char *name, role role, const int64_t *stride) {
    const pan_strided_copy_desc *desc = DESC(call, pan_strided_copy_desc);
    int64_t size[PAN_MAX_RANK], last = 0;
    for (int d = 0; d < desc->rank; d++) {
        size[d] = stride[d] == 0 ? 1 : desc->shape[d];
        last += (size[d] - 1) * stride[d];
    }
    return add_window(call, name, role, add_block(call, REAL, last + 1), 0, desc->rank, size, stride);
}

static void prepare_strided_copy(call *call, int variant) {
    const pan_strided_copy_desc *desc = copy_desc(call, variant);
    add_strided(call, "source", INPUT, desc->source_stride);
    add_strided(call, "target", desc->accumulate ? ADDED : OUTPUT, desc->target_stride);
}

static pan_status invoke_strided_copy(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                      int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_strided_copy(stream, desc, a[0], a[1]);
}

#define STRIDED_COPY_FIELDS \
    { FIELD_ENUM(pan_strided_copy_desc, accumulate, 2), FIELD(pan_strided_copy_desc, shape[0], FIELD_SIZE) }

/* ---- cumulative sums ---- */

static pan_cumulative_sum_desc *cumulative_sum_desc(call *call, int variant) {
    pan_cumulative_sum_desc *desc = DESC(call, pan_cumulative_sum_desc);
    const int64_t count = ragged(variant, 0), inner = variant % 3 == 0 ? 1 : at_most(ragged(variant, 1), 30000 / count);
    *desc = (pan_cumulative_sum_desc){.struct_size = sizeof *desc,
                                      .reverse = variant % 2,
                                      .outer = at_most(ragged(variant, 2), 50000 / (count * inner)),
                                      .count = count,
                                      .inner = inner};
    call->work = (double) (desc->outer * count * inner);
    return desc;
}

static void prepare_cumulative_sum(call *call, int variant) {
    const pan_cumulative_sum_desc *desc = cumulative_sum_desc(call, variant);
    add_vector(call, "x", INPUT, desc->outer * desc->count * desc->inner);
    add_vector(call, "y", OUTPUT, desc->outer * desc->count * desc->inner);
}

static void prepare_cumulative_sum_adjoint(call *call, int variant) {
    pan_cumulative_sum_desc *desc = cumulative_sum_desc(call, variant);
    desc->reverse = !desc->reverse;
    relate(call, add_vector(call, "dy", INPUT, desc->outer * desc->count * desc->inner), COTANGENT_OF, 1);
    relate(call, add_vector(call, "dx", OUTPUT, desc->outer * desc->count * desc->inner), GRADIENT_OF, 0);
}

static pan_status invoke_cumulative_sum(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                        int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_cumulative_sum(stream, desc, a[0], a[1]);
}

#define CUMULATIVE_SUM_FIELDS                                                                                     \
    {                                                                                                             \
        FIELD_ENUM(pan_cumulative_sum_desc, reverse, 2), FIELD_RESERVED(pan_cumulative_sum_desc),                 \
            FIELD(pan_cumulative_sum_desc, outer, FIELD_SIZE), FIELD(pan_cumulative_sum_desc, count, FIELD_SIZE), \
            FIELD(pan_cumulative_sum_desc, inner, FIELD_SIZE)                                                     \
    }

/* ---- cumulative log-sum-exp ---- */

/* The gradient's reference has a sum for each entry. */
static pan_cumulative_log_sum_exp_desc *log_sum_exp_desc(call *call, int variant) {
    pan_cumulative_log_sum_exp_desc *desc = DESC(call, pan_cumulative_log_sum_exp_desc);
    const int64_t count = ragged(variant, 0), inner = variant % 3 == 0 ? 1 : at_most(ragged(variant, 1), 20000 / count);
    *desc = (pan_cumulative_log_sum_exp_desc){.struct_size = sizeof *desc,
                                              .outer = at_most(ragged(variant, 2), 20000 / (count * inner)),
                                              .count = count,
                                              .inner = inner};
    call->work = 5.0 * (double) (desc->outer * count * inner);
    return desc;
}

/* Entries of up to 100, that rise in some variants and fall in others, so that the largest moves or stays. */
static void prepare_log_sum_exp(call *call, int variant) {
    const pan_cumulative_log_sum_exp_desc *desc = log_sum_exp_desc(call, variant);
    const int64_t elements = desc->outer * desc->count * desc->inner;
    const int x = add_vector(call, "x", INPUT, elements);
    scale_values(call, x, variant % 2 ? 30.0 : 2.0);
    double *values = call->blocks[call->views[x].block].values;
    for (int64_t i = 0; i < elements && variant % 5 < 2; i++) {
        const double part = (double) (i / desc->inner % desc->count) / (double) desc->count;
        values[i] = (float) (values[i] + (variant % 5 == 0 ? 40.0 : -40.0) * part);
    }
    add_vector(call, "y", OUTPUT, elements);
}

static pan_status invoke_log_sum_exp(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                     int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_cumulative_log_sum_exp_forward(stream, desc, a[0], a[1]);
}

static void prepare_log_sum_exp_backward(call *call, int variant) {
    const pan_cumulative_log_sum_exp_desc *desc = log_sum_exp_desc(call, variant);
    const int64_t elements = desc->outer * desc->count * desc->inner;
    relate(call, add_vector(call, "x", INPUT, elements), VALUE_OF, 0);
    relate(call, add_vector(call, "y", INPUT, elements), VALUE_OF, 1);
    relate(call, add_vector(call, "dy", INPUT, elements), COTANGENT_OF, 1);
    relate(call, add_vector(call, "dx", OUTPUT, elements), GRADIENT_OF, 0);
}

static pan_status invoke_log_sum_exp_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                              int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_cumulative_log_sum_exp_backward(stream, desc, a[0], a[1], a[2], a[3]);
}

#define LOG_SUM_EXP_FIELDS                                             \
    {                                                                  \
        FIELD(pan_cumulative_log_sum_exp_desc, outer, FIELD_SIZE),     \
            FIELD(pan_cumulative_log_sum_exp_desc, count, FIELD_SIZE), \
            FIELD(pan_cumulative_log_sum_exp_desc, inner, FIELD_SIZE)  \
    }

/* ---- triangular systems ---- */

static pan_triangular_solve_desc *solve_desc(call *call, int variant) {
    pan_triangular_solve_desc *desc = DESC(call, pan_triangular_solve_desc);
    const int64_t size = ragged(variant, 0), most = 4000000 / (size * size);
    const int64_t columns = at_most(ragged(variant, 1), most);
    *desc = (pan_triangular_solve_desc){.struct_size = sizeof *desc,
                                        .batch = at_most(ragged(variant, 2), most / columns),
                                        .size = size,
                                        .columns = columns};
    call->work = (double) (desc->batch * columns * size * size);
    return desc;
}

static void prepare_solve(call *call, int variant) {
    const pan_triangular_solve_desc *desc = solve_desc(call, variant);
    const int64_t vectors = desc->batch * desc->size * desc->columns;
    const int a = add_vector(call, "a", INPUT, desc->batch * desc->size * desc->size);
    double *values = call->blocks[call->views[a].block].values;
    for (int64_t i = 0; i < desc->batch * desc->size * desc->size; i++) {
        const int64_t row = i / desc->size % desc->size, column = i % desc->size;
        const double diagonal = values[i] < 0.0 ? values[i] - 1.0 : values[i] + 1.0;
        /* Nobody reads what is above the diagonal. */
        values[i] =
            column > row ? (double) NAN : (float) (column == row ? diagonal : values[i] / sqrt((double) desc->size));
    }
    add_vector(call, "b", INPUT, vectors);
    add_vector(call, "x", OUTPUT, vectors);
}

static pan_status invoke_solve(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_triangular_solve_forward(stream, desc, a[0], a[1], a[2]);
}

static void prepare_solve_backward(call *call, int variant) {
    const pan_triangular_solve_desc *desc = solve_desc(call, variant);
    const int64_t matrices = desc->batch * desc->size * desc->size, vectors = desc->batch * desc->size * desc->columns;
    relate(call, add_vector(call, "a", INPUT, matrices), VALUE_OF, 0);
    relate(call, add_vector(call, "x", INPUT, vectors), VALUE_OF, 2);
    relate(call, add_vector(call, "dx", INPUT, vectors), COTANGENT_OF, 2);
    relate(call, add_vector(call, "da", OUTPUT, matrices), GRADIENT_OF, 0);
    relate(call, add_vector(call, "db", OUTPUT, vectors), GRADIENT_OF, 1);
}

static pan_status invoke_solve_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                        int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_triangular_solve_backward(stream, desc, a[0], a[1], a[2], a[3], a[4]);
}

#define SOLVE_FIELDS                                                                                             \
    {                                                                                                            \
        FIELD(pan_triangular_solve_desc, batch, FIELD_SIZE), FIELD(pan_triangular_solve_desc, size, FIELD_SIZE), \
            FIELD(pan_triangular_solve_desc, columns, FIELD_SIZE)                                                \
    }

enum {
    MATMUL,
    STRIDED_COPY,
    CUMULATIVE_SUM,
    LOG_SUM_EXP,
    LOG_SUM_EXP_BACKWARD,
    TRIANGULAR_SOLVE,
    TRIANGULAR_SOLVE_BACKWARD,
    END
};

const op_case ARRAY_CASES[] = {
    [MATMUL] = {.op = "matmul",
                .variants = 4 * COUNT(PRODUCTS),
                .tolerance = 2e-6,
                .cancelling = matmul_terms,
                .prepare = prepare_matmul,
                .invoke = invoke_matmul,
                .workspace = matmul_workspace,
                .desc_size = sizeof(pan_matmul_desc),
                .fields = MATMUL_FIELDS},
    [STRIDED_COPY] = {.op = "strided_copy",
                      .variants = 2 * COUNT(COPIES),
                      .tolerance = 2e-7,
                      .prepare = prepare_strided_copy,
                      .invoke = invoke_strided_copy,
                      .desc_size = sizeof(pan_strided_copy_desc),
                      .fields = STRIDED_COPY_FIELDS},
    [CUMULATIVE_SUM] = {.op = "cumulative_sum",
                        .variants = 2 * SIZE_COUNT,
                        .tolerance = 1e-7,
                        .prepare = prepare_cumulative_sum,
                        .invoke = invoke_cumulative_sum,
                        .aliases = {{1, 0}},
                        .desc_size = sizeof(pan_cumulative_sum_desc),
                        .fields = CUMULATIVE_SUM_FIELDS},
    [LOG_SUM_EXP] = {.op = "cumulative_log_sum_exp_forward",
                     .variants = 2 * SIZE_COUNT,
                     .tolerance = 3e-7,
                     .prepare = prepare_log_sum_exp,
                     .invoke = invoke_log_sum_exp,
                     .aliases = {{1, 0}},
                     .desc_size = sizeof(pan_cumulative_log_sum_exp_desc),
                     .fields = LOG_SUM_EXP_FIELDS},
    [LOG_SUM_EXP_BACKWARD] = {.op = "cumulative_log_sum_exp_backward",
                              .variants = 2 * SIZE_COUNT,
                              .tolerance = 1e-6,
                              .prepare = prepare_log_sum_exp_backward,
                              .invoke = invoke_log_sum_exp_backward,
                              .forward = &ARRAY_CASES[LOG_SUM_EXP],
                              .aliases = {{3, 2}},
                              .desc_size = sizeof(pan_cumulative_log_sum_exp_desc),
                              .fields = LOG_SUM_EXP_FIELDS},
    [TRIANGULAR_SOLVE] = {.op = "triangular_solve_forward",
                          .variants = 2 * SIZE_COUNT,
                          .tolerance = 3e-6,
                          .prepare = prepare_solve,
                          .invoke = invoke_solve,
                          .aliases = {{2, 1}},
                          .desc_size = sizeof(pan_triangular_solve_desc),
                          .fields = SOLVE_FIELDS},
    [TRIANGULAR_SOLVE_BACKWARD] = {.op = "triangular_solve_backward",
                                   .variants = 2 * SIZE_COUNT,
                                   .tolerance = 3e-6,
                                   .prepare = prepare_solve_backward,
                                   .invoke = invoke_solve_backward,
                                   .forward = &ARRAY_CASES[TRIANGULAR_SOLVE],
                                   .aliases = {{4, 2}},
                                   .desc_size = sizeof(pan_triangular_solve_desc),
                                   .fields = SOLVE_FIELDS},
    [END] = {0},
};

const op_case CUMULATIVE_SUM_ADJOINT = {.op = "cumulative_sum",
                                        .title = "cumulative_sum, whose reverse is its adjoint",
                                        .variants = 2 * SIZE_COUNT,
                                        .prepare = prepare_cumulative_sum_adjoint,
                                        .invoke = invoke_cumulative_sum,
                                        .forward = &ARRAY_CASES[CUMULATIVE_SUM],
                                        .desc_size = sizeof(pan_cumulative_sum_desc)};
