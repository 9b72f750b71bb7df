/* Cases of the ops that work element by element, of the reductions and of the optimizer. */
#include <math.h>

#include "cases.h"

#define UNUSED_WORKSPACE \
    (void) workspace;    \
    (void) bytes

/* Away from zero, by more than a step of finite differences, where a function has a kink. */
static void leave_zero(call *call, int view) {
    block *block = &call->blocks[call->views[view].block];
    for (int64_t i = 0; i < block->count; i++) {
        block->values[i] = (float) (block->values[i] + (block->values[i] < 0.0 ? -0.0625 : 0.0625));
    }
}

/* ---- activations ---- */

/* Moves an activation's inputs away from where it has no derivatives of high order, or no value. */
static void leave_kinks(call *call, int view, pan_activation kind) {
    block *block = &call->blocks[call->views[view].block];
    if (kind == PAN_ACTIVATION_RELU || kind == PAN_ACTIVATION_ELU_PLUS_ONE || kind == PAN_ACTIVATION_RELU_SQUARED) {
        leave_zero(call, view);
    } else if (kind == PAN_ACTIVATION_LOG) {
        for (int64_t i = 0; i < block->count; i++) {
            block->values[i] = (float) (fabs(block->values[i]) + 0.25);
        }
    }
}

static pan_activation_desc *activation_desc(call *call, int variant) {
    pan_activation_desc *desc = DESC(call, pan_activation_desc);
    *desc =
        (pan_activation_desc){.struct_size = sizeof *desc, .kind = variant / SIZE_COUNT, .count = ragged(variant, 1)};
    call->work = 20.0 * (double) desc->count;
    return desc;
}

static void prepare_activation_forward(call *call, int variant) {
    const pan_activation_desc *desc = activation_desc(call, variant);
    int x = add_vector(call, "x", INPUT, desc->count);
    scale_values(call, x, variant % 2 ? 8.0 : 1.5);
    leave_kinks(call, x, desc->kind);
    add_vector(call, "y", OUTPUT, desc->count);
}

static pan_status invoke_activation_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_activation_forward(stream, desc, a[0], a[1]);
}

static void prepare_activation_backward(call *call, int variant) {
    const pan_activation_desc *desc = activation_desc(call, variant);
    relate(call, add_vector(call, "x", INPUT, desc->count), VALUE_OF, 0);
    relate(call, add_vector(call, "dy", INPUT, desc->count), COTANGENT_OF, 1);
    relate(call, add_vector(call, "dx", OUTPUT, desc->count), GRADIENT_OF, 0);
}

static pan_status invoke_activation_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                             int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_activation_backward(stream, desc, a[0], a[1], a[2]);
}

#define ACTIVATION_FIELDS                                                                                 \
    {                                                                                                     \
        FIELD_ENUM(pan_activation_desc, kind, PAN_ACTIVATION_COUNT), FIELD_RESERVED(pan_activation_desc), \
            FIELD(pan_activation_desc, count, FIELD_SIZE)                                                 \
    }

/* ---- arithmetic ---- */

typedef struct broadcast {
    int32_t rank;
    int64_t shape[PAN_MAX_RANK], a_stride[PAN_MAX_RANK], b_stride[PAN_MAX_RANK];
} broadcast;

static const broadcast BROADCASTS[] = {
    {1, {1}, {1}, {1}},
    {1, {257}, {1}, {1}},
    {1, {100}, {1}, {0}},
    {1, {65}, {0}, {0}},
    {2, {17, 63}, {63, 1}, {0, 1}},
    {2, {16, 127}, {127, 1}, {1, 0}},
    {2, {7, 15}, {0, 1}, {1, 0}},
    {2, {1000, 3}, {3, 1}, {0, 1}},
    {2, {3, 1000}, {1000, 1}, {0, 0}},
    {2, {8, 65}, {70, 1}, {65, 1}},
    {3, {3, 17, 65}, {17 * 65, 65, 1}, {65, 0, 1}},
    {3, {2, 64, 16}, {64 * 16, 16, 1}, {0, 1, 0}},
    {3, {7, 8, 15}, {120, 15, 1}, {15, 7 * 15, 1}},
    {3, {3, 1, 8}, {8, 8, 1}, {8, 0, 1}},
    {4, {2, 3, 7, 17}, {3 * 7 * 17, 7 * 17, 17, 1}, {0, 17, 0, 1}},
    {4, {2, 3, 7, 17}, {0, 17, 0, 1}, {3 * 7, 7, 1, 0}},
    {6, {2, 3, 2, 1, 3, 7}, {252 / 2, 42, 21, 21, 7, 1}, {0, 7, 0, 0, 21, 1}},
    {6, {2, 3, 2, 2, 3, 8}, {0, 0, 0, 0, 0, 0}, {288, 96, 48, 24, 8, 1}},
};

static pan_arithmetic_desc *arithmetic_desc(call *call, int variant) {
    const broadcast *layout = &BROADCASTS[variant / PAN_ARITHMETIC_COUNT];
    pan_arithmetic_desc *desc = DESC(call, pan_arithmetic_desc);
    *desc = (pan_arithmetic_desc){
        .struct_size = sizeof *desc, .kind = variant % PAN_ARITHMETIC_COUNT, .rank = layout->rank};
    memcpy(desc->shape, layout->shape, sizeof desc->shape);
    memcpy(desc->a_stride, layout->a_stride, sizeof desc->a_stride);
    memcpy(desc->b_stride, layout->b_stride, sizeof desc->b_stride);
    call->work = 10000.0;
    return desc;
}

static int add_operand(call *call, const char *name, role role, const pan_arithmetic_desc *desc,
                       const int64_t *stride) {
    int64_t size[PAN_MAX_RANK], last = 0;
    for (int d = 0; d < desc->rank; d++) {
        size[d] = stride[d] == 0 ? 1 : desc->shape[d];
        last += (size[d] - 1) * stride[d];
    }
    return add_window(call, name, role, add_block(call, REAL, last + 1), 0, desc->rank, size, stride);
}

static int add_dense(call *call, const char *name, role role, const pan_arithmetic_desc *desc) {
    int64_t stride[PAN_MAX_RANK], extent = 1;
    for (int d = desc->rank - 1; d >= 0; d--) {
        stride[d] = extent;
        extent *= desc->shape[d];
    }
    return add_window(call, name, role, add_block(call, REAL, extent), 0, desc->rank, desc->shape, stride);
}

/* Makes a's values odd and b's even multiples of 1/8, so that no step of finite differences makes another the larger. */
static void separate_operands(call *call) {
    for (int v = 0; v < 2; v++) {
        for (int64_t i = 0; i < call->blocks[v].count; i++) {
            double *value = &call->blocks[v].values[i];
            *value = (2.0 * floor(4.0 * *value) + (v == 0 ? 1.0 : 0.0)) / 8.0;
        }
    }
}

static void prepare_arithmetic_forward(call *call, int variant) {
    const pan_arithmetic_desc *desc = arithmetic_desc(call, variant);
    add_operand(call, "a", INPUT, desc, desc->a_stride);
    int b = add_operand(call, "b", INPUT, desc, desc->b_stride);
    if (desc->kind == PAN_MAXIMUM) {
        separate_operands(call);
    }
    /* Away from zero, where a quotient's finite differences would be meaningless. */
    for (int64_t i = 0; i < call->blocks[b].count; i++) {
        double *value = &call->blocks[b].values[i];
        *value = (float) (*value < 0.0 ? *value - 0.75 : *value + 0.75);
    }
    add_dense(call, "y", OUTPUT, desc);
}

static pan_status invoke_arithmetic_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_arithmetic_forward(stream, desc, a[0], a[1], a[2]);
}

static void prepare_arithmetic_backward(call *call, int variant) {
    const pan_arithmetic_desc *desc = arithmetic_desc(call, variant);
    const int layout = variant / PAN_ARITHMETIC_COUNT;
    bool needs_operands = desc->kind != PAN_ADD && desc->kind != PAN_SUBTRACT;
    relate(call, add_operand(call, "a", INPUT, desc, desc->a_stride), VALUE_OF, 0);
    relate(call, add_operand(call, "b", INPUT, desc, desc->b_stride), VALUE_OF, 1);
    for (int v = 0; v < 2 && !needs_operands; v++) {
        make_optional(call, v, layout % 2 == v);
    }
    relate(call, add_dense(call, "dy", INPUT, desc), COTANGENT_OF, 2);
    int da = add_operand(call, "da", OUTPUT, desc, desc->a_stride);
    int db = add_operand(call, "db", OUTPUT, desc, desc->b_stride);
    relate(call, da, GRADIENT_OF, 0);
    relate(call, db, GRADIENT_OF, 1);
    make_optional(call, da, layout % 5 != 3);
    make_optional(call, db, layout % 5 != 4);
}

static pan_status invoke_arithmetic_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                             int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_arithmetic_backward(stream, desc, a[0], a[1], a[2], a[3], a[4]);
}

#define ARITHMETIC_FIELDS \
    { FIELD_ENUM(pan_arithmetic_desc, kind, PAN_ARITHMETIC_COUNT), FIELD(pan_arithmetic_desc, shape[0], FIELD_SIZE) }

/* ---- gates ---- */

static pan_gate_desc *gate_desc(call *call, int variant) {
    int64_t rows = at_most(ragged(variant, 0), 100), channels = at_most(ragged(variant, 1), 20000 / rows);
    bool packed = variant % 3 == 1;
    int64_t stride = packed ? 2 * channels : channels + (variant % 3 == 2 ? 3 : 0);
    pan_gate_desc *desc = DESC(call, pan_gate_desc);
    *desc = (pan_gate_desc){.struct_size = sizeof *desc,
                            .activation = variant / SIZE_COUNT,
                            .rows = rows,
                            .channels = channels,
                            .a_stride = stride,
                            .b_stride = stride,
                            .c_stride = stride,
                            .y_stride = variant % 2 ? stride : channels};
    call->work = 20.0 * (double) (rows * channels);
    return desc;
}

/* a and b, or their gradients; every third variant packs both into the rows of one array. */
static int add_gate_operands(call *call, const char *a, const char *b, role role, int variant) {
    const pan_gate_desc *desc = DESC(call, pan_gate_desc);
    if (variant % 3 != 1) {
        add_rows(call, a, role, desc->rows, desc->channels, desc->a_stride);
        return add_rows(call, b, role, desc->rows, desc->channels, desc->b_stride) - 1;
    }
    int block = add_block(call, REAL, desc->rows * 2 * desc->channels);
    const int64_t size[] = {desc->rows, desc->channels}, stride[] = {desc->a_stride, 1};
    add_window(call, a, role, block, 0, 2, size, stride);
    return add_window(call, b, role, block, desc->channels, 2, size, stride) - 1;
}

static void prepare_gate_forward(call *call, int variant) {
    const pan_gate_desc *desc = gate_desc(call, variant);
    int a = add_gate_operands(call, "a", "b", INPUT, variant);
    leave_kinks(call, a, desc->activation);
    make_optional(call, add_rows(call, "c", INPUT, desc->rows, desc->channels, desc->c_stride), variant % 4 < 2);
    add_rows(call, "y", OUTPUT, desc->rows, desc->channels, desc->y_stride);
}

static pan_status invoke_gate_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                      int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_gate_forward(stream, desc, a[0], a[1], a[2], a[3]);
}

static void prepare_gate_backward(call *call, int variant) {
    const pan_gate_desc *desc = gate_desc(call, variant);
    int a = add_gate_operands(call, "a", "b", INPUT, variant);
    relate(call, a, VALUE_OF, 0);
    relate(call, a + 1, VALUE_OF, 1);
    relate(call, add_rows(call, "dy", INPUT, desc->rows, desc->channels, desc->y_stride), COTANGENT_OF, 3);
    int da = add_gate_operands(call, "da", "db", OUTPUT, variant);
    relate(call, da, GRADIENT_OF, 0);
    relate(call, da + 1, GRADIENT_OF, 1);
    make_optional(call, da, variant % 7 != 5);
    make_optional(call, da + 1, variant % 7 != 6);
}

static pan_status invoke_gate_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                       int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_gate_backward(stream, desc, a[0], a[1], a[2], a[3], a[4]);
}

#define GATE_FIELDS                                                                                          \
    {                                                                                                        \
        FIELD_ENUM(pan_gate_desc, activation, PAN_ACTIVATION_COUNT), FIELD(pan_gate_desc, rows, FIELD_SIZE), \
            FIELD_RESERVED(pan_gate_desc), FIELD(pan_gate_desc, channels, FIELD_SIZE),                       \
            FIELD(pan_gate_desc, a_stride, FIELD_STRIDE), FIELD(pan_gate_desc, b_stride, FIELD_STRIDE),      \
            FIELD(pan_gate_desc, y_stride, FIELD_STRIDE)                                                     \
    }

/* ---- dropout ---- */

static const float DROP_PROBABILITIES[] = {0.0f, 0.1f, 0.5f};

static const pan_dropout_desc *begin_dropout(call *call, int variant) {
    int64_t examples = at_most(ragged(variant, 0), 17), length = at_most(ragged(variant, 2), 65);
    pan_dropout_desc *desc = DESC(call, pan_dropout_desc);
    *desc = (pan_dropout_desc){.struct_size = sizeof *desc,
                               .probability = DROP_PROBABILITIES[variant % 3],
                               .path_probability = variant % 2 ? 0.25f : 0.0f,
                               .rows = examples * length,
                               .channels = at_most(ragged(variant, 1), 30000 / (examples * length)),
                               .rows_per_example = length,
                               .key = 0x1234567890abcdef + (uint64_t) variant};
    call->work = 4.0 * (double) (desc->rows * desc->channels);
    add_state(call, "random", &(pan_random_state){.seed = 42, .step = (uint64_t) variant << 33},
              sizeof(pan_random_state));
    return desc;
}

static void prepare_dropout(call *call, int variant) {
    const pan_dropout_desc *desc = begin_dropout(call, variant);
    add_rows(call, "x", INPUT, desc->rows, desc->channels, desc->channels);
    add_rows(call, "y", OUTPUT, desc->rows, desc->channels, desc->channels);
}

static void prepare_dropout_adjoint(call *call, int variant) {
    const pan_dropout_desc *desc = begin_dropout(call, variant);
    relate(call, add_rows(call, "dy", INPUT, desc->rows, desc->channels, desc->channels), COTANGENT_OF, 2);
    relate(call, add_rows(call, "dx", OUTPUT, desc->rows, desc->channels, desc->channels), GRADIENT_OF, 1);
}

static pan_status invoke_dropout(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_dropout(stream, desc, a[0], a[1], a[2]);
}

#define DROPOUT_FIELDS                                                                                               \
    {                                                                                                                \
        FIELD(pan_dropout_desc, probability, FIELD_PROBABILITY),                                                     \
            FIELD(pan_dropout_desc, path_probability, FIELD_PROBABILITY), FIELD(pan_dropout_desc, rows, FIELD_SIZE), \
            FIELD(pan_dropout_desc, channels, FIELD_SIZE), FIELD(pan_dropout_desc, rows_per_example, FIELD_SIZE)     \
    }

/* ---- reductions ---- */

static const pan_reduction REDUCTIONS[] = {
    PAN_REDUCE_SUM, PAN_REDUCE_MEAN,     PAN_REDUCE_SUM_OF_SQUARES, PAN_REDUCE_SUM_OF_MAGNITUDES,
    PAN_REDUCE_MAX, PAN_REDUCE_NONFINITE};
enum { REDUCTIONS_WITH_GRADIENT = COUNT(REDUCTIONS) - 1 };

static const pan_reduce_desc *reduce_desc(call *call, int variant, int kinds) {
    pan_reduce_desc *desc = DESC(call, pan_reduce_desc);
    int64_t count = ragged(variant, 0), inner = variant % 2 ? 1 : at_most(ragged(variant, 1), 30000 / count);
    *desc = (pan_reduce_desc){.struct_size = sizeof *desc,
                              .kind = REDUCTIONS[variant / SIZE_COUNT % kinds],
                              .outer = at_most(ragged(variant, 2), 50000 / (count * inner)),
                              .count = count,
                              .inner = inner};
    if (variant % 15 == 14) { /* a long sum, cut into pieces */
        desc->outer = desc->inner = 1;
        desc->count = 70001;
    }
    call->work = (double) (desc->outer * desc->count * desc->inner);
    return desc;
}

/* Makes the values of each sum different, by more than a step of finite differences. */
static void separate_values(call *call, int view) {
    block *block = &call->blocks[call->views[view].block];
    const uint64_t stride = 257, places = DESC(call, pan_reduce_desc)->count < 4099 ? 4099 : 99991; /* primes */
    for (int64_t i = 0; i < block->count; i++) {
        block->values[i] = (double) ((uint64_t) i * stride % places) / 16.0;
    }
}

static void prepare_reduce_forward(call *call, int variant) {
    const pan_reduce_desc *desc = reduce_desc(call, variant, COUNT(REDUCTIONS));
    int x = add_vector(call, "x", INPUT, desc->outer * desc->count * desc->inner);
    if (desc->kind == PAN_REDUCE_SUM_OF_MAGNITUDES) {
        leave_zero(call, x);
    }
    if (desc->kind == PAN_REDUCE_MAX) {
        separate_values(call, x);
    }
    if (desc->kind == PAN_REDUCE_NONFINITE) {
        static const double odd[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-40, 3e38};
        for (int64_t i = 0; i < call->blocks[x].count; i += 3) {
            call->blocks[x].values[i] = (float) odd[i % COUNT(odd)];
        }
    }
    add_vector(call, "y", OUTPUT, desc->outer * desc->inner);
}

static pan_status invoke_reduce_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                        int64_t bytes) {
    return pan_reduce_forward(stream, desc, a[0], a[1], workspace, bytes);
}

static pan_status reduce_forward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_reduce_forward_workspace_size(stream, desc, bytes);
}

static void prepare_reduce_backward(call *call, int variant) {
    const pan_reduce_desc *desc = reduce_desc(call, variant, REDUCTIONS_WITH_GRADIENT);
    int64_t count = desc->outer * desc->count * desc->inner;
    relate(call, add_vector(call, "x", INPUT, count), VALUE_OF, 0);
    if (desc->kind == PAN_REDUCE_SUM || desc->kind == PAN_REDUCE_MEAN) {
        make_optional(call, 0, variant % 2 == 0);
    }
    relate(call, add_vector(call, "dy", INPUT, desc->outer * desc->inner), COTANGENT_OF, 1);
    relate(call, add_vector(call, "dx", OUTPUT, count), GRADIENT_OF, 0);
}

static pan_status invoke_reduce_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                         int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_reduce_backward(stream, desc, a[0], a[1], a[2]);
}

#define REDUCE_FIELDS                                                                             \
    {                                                                                             \
        FIELD_ENUM(pan_reduce_desc, kind, PAN_REDUCE_COUNT), FIELD_RESERVED(pan_reduce_desc),     \
            FIELD(pan_reduce_desc, outer, FIELD_SIZE), FIELD(pan_reduce_desc, count, FIELD_SIZE), \
            FIELD(pan_reduce_desc, inner, FIELD_SIZE)                                             \
    }

/* ---- optimizer ---- */

static void prepare_adamw(call *call, int variant) {
    pan_adamw_desc *desc = DESC(call, pan_adamw_desc);
    *desc = (pan_adamw_desc){.struct_size = sizeof *desc, .count = ragged(variant, 1)};
    double step = 1.0 + variant;
    pan_adamw_state state = {.learning_rate = variant % 5 == 1 ? 1.0 : 3e-4,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .epsilon = 1e-8,
                             .weight_decay = variant % 3 == 0 ? 0.0 : 0.1,
                             .bias_correction1 = 1.0 - pow(0.9, step),
                             .bias_correction2 = 1.0 - pow(0.999, step),
                             .skip = variant % 6 == 5};
    add_state(call, "state", &state, sizeof state);
    add_vector(call, "parameters", ADDED, desc->count);
    int gradients = add_vector(call, "gradients", INPUT, desc->count);
    add_vector(call, "exp_avg", ADDED, desc->count);
    int squares = add_vector(call, "exp_avg_sq", ADDED, desc->count);
    for (int64_t i = 0; i < desc->count; i++) {
        /* The first step: moments and, for some parameters, the gradient are zero. */
        call->blocks[squares].values[i] = variant == 0 ? 0.0 : fabs(call->blocks[squares].values[i]);
        call->blocks[3].values[i] *= variant != 0;
        call->blocks[gradients].values[i] *= i % 3 != 0;
    }
    call->work = 10.0 * (double) desc->count;
}

static pan_status invoke_adamw(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_adamw_step(stream, desc, a[0], a[1], a[2], a[3], a[4]);
}

enum {
    ACTIVATION,
    ACTIVATION_BACKWARD,
    ARITHMETIC,
    ARITHMETIC_BACKWARD,
    GATE,
    GATE_BACKWARD,
    DROPOUT,
    REDUCE,
    REDUCE_BACKWARD,
    ADAMW,
    END
};

const op_case ELEMENT_CASES[] = {
    [ACTIVATION] = {.op = "activation_forward",
                    .variants = PAN_ACTIVATION_COUNT * SIZE_COUNT,
                    .tolerance = 1e-6,
                    .prepare = prepare_activation_forward,
                    .invoke = invoke_activation_forward,
                    .aliases = {{1, 0}},
                    .desc_size = sizeof(pan_activation_desc),
                    .fields = ACTIVATION_FIELDS},
    [ACTIVATION_BACKWARD] = {.op = "activation_backward",
                             .variants = PAN_ACTIVATION_COUNT * SIZE_COUNT,
                             .tolerance = 1e-6,
                             .prepare = prepare_activation_backward,
                             .invoke = invoke_activation_backward,
                             .forward = &ELEMENT_CASES[ACTIVATION],
                             .aliases = {{2, 1}, {2, 0}},
                             .desc_size = sizeof(pan_activation_desc),
                             .fields = ACTIVATION_FIELDS},
    [ARITHMETIC] = {.op = "arithmetic_forward",
                    .variants = PAN_ARITHMETIC_COUNT * COUNT(BROADCASTS),
                    .tolerance = 2e-7,
                    .prepare = prepare_arithmetic_forward,
                    .invoke = invoke_arithmetic_forward,
                    .aliases = {{2, 0}, {2, 1}},
                    .desc_size = sizeof(pan_arithmetic_desc),
                    .fields = ARITHMETIC_FIELDS},
    [ARITHMETIC_BACKWARD] = {.op = "arithmetic_backward",
                             .variants = PAN_ARITHMETIC_COUNT * COUNT(BROADCASTS),
                             .tolerance = 2e-6,
                             .prepare = prepare_arithmetic_backward,
                             .invoke = invoke_arithmetic_backward,
                             .forward = &ELEMENT_CASES[ARITHMETIC],
                             .desc_size = sizeof(pan_arithmetic_desc),
                             .fields = ARITHMETIC_FIELDS},
    [GATE] = {.op = "gate_forward",
              .variants = PAN_ACTIVATION_COUNT * SIZE_COUNT,
              .tolerance = 1e-6,
              .prepare = prepare_gate_forward,
              .invoke = invoke_gate_forward,
              .aliases = {{3, 0}, {3, 1}, {3, 2}},
              .desc_size = sizeof(pan_gate_desc),
              .fields = GATE_FIELDS},
    [GATE_BACKWARD] = {.op = "gate_backward",
                       .variants = PAN_ACTIVATION_COUNT * SIZE_COUNT,
                       .tolerance = 1e-6,
                       .prepare = prepare_gate_backward,
                       .invoke = invoke_gate_backward,
                       .forward = &ELEMENT_CASES[GATE],
                       .desc_size = sizeof(pan_gate_desc),
                       .fields = GATE_FIELDS},
    [DROPOUT] = {.op = "dropout",
                 .variants = 2 * SIZE_COUNT,
                 .tolerance = 2e-7,
                 .prepare = prepare_dropout,
                 .invoke = invoke_dropout,
                 .aliases = {{2, 1}},
                 .desc_size = sizeof(pan_dropout_desc),
                 .fields = DROPOUT_FIELDS},
    [REDUCE] = {.op = "reduce_forward",
                .variants = COUNT(REDUCTIONS) * SIZE_COUNT,
                .tolerance = 2e-7,
                .prepare = prepare_reduce_forward,
                .invoke = invoke_reduce_forward,
                .workspace = reduce_forward_workspace,
                .desc_size = sizeof(pan_reduce_desc),
                .fields = REDUCE_FIELDS},
    [REDUCE_BACKWARD] = {.op = "reduce_backward",
                         .variants = REDUCTIONS_WITH_GRADIENT * SIZE_COUNT,
                         .tolerance = 2e-7,
                         .prepare = prepare_reduce_backward,
                         .invoke = invoke_reduce_backward,
                         .forward = &ELEMENT_CASES[REDUCE],
                         .desc_size = sizeof(pan_reduce_desc),
                         .fields = REDUCE_FIELDS},
    [ADAMW] = {.op = "adamw_step",
               .variants = 2 * SIZE_COUNT,
               .tolerance = 1e-6,
               .prepare = prepare_adamw,
               .invoke = invoke_adamw,
               .desc_size = sizeof(pan_adamw_desc),
               .no_dtype = true,
               .fields = {FIELD_RESERVED(pan_adamw_desc), FIELD(pan_adamw_desc, count, FIELD_SIZE)}},
    [END] = {0},
};

const op_case DROPOUT_ADJOINT = {.op = "dropout",
                                 .title = "dropout as its own adjoint",
                                 .variants = 2 * SIZE_COUNT,
                                 .prepare = prepare_dropout_adjoint,
                                 .invoke = invoke_dropout,
                                 .forward = &ELEMENT_CASES[DROPOUT],
                                 .desc_size = sizeof(pan_dropout_desc)};
