/* Cases of what depends on positions: rotary embedding and token shift. */
#include <math.h>

#include "cases.h"

#define UNUSED_WORKSPACE \
    (void) workspace;    \
    (void) bytes

/* ---- rotary embedding ---- */

enum { DENSE, PACKED, HEADS_FIRST, LAYOUTS };

/* PACKED: the second of three column ranges. */
static pan_head_layout rotary_layout(const pan_rotary_desc *desc, int kind) {
    const int64_t width = desc->heads * desc->head_dim;
    switch (kind) {
    case DENSE: return (pan_head_layout){desc->length * width, width, desc->head_dim};
    case PACKED: return (pan_head_layout){desc->length * 3 * width, 3 * width, desc->head_dim};
    default: /* (batch, heads, length, head_dim) with rows that are longer than they need be */
        return (pan_head_layout){desc->heads * desc->length * (desc->head_dim + 3), desc->head_dim + 3,
                                 desc->length * (desc->head_dim + 3)};
    }
}

static pan_rotary_desc *rotary_desc(call *call, int variant) {
    pan_rotary_desc *desc = DESC(call, pan_rotary_desc);
    *desc = (pan_rotary_desc){.struct_size = sizeof *desc,
                              .interleaved = variant / 2 % 2,
                              .inverse = variant % 5 == 2,
                              .base = variant % 4 == 1 ? 500.0 : 10000.0,
                              .batch = at_most(ragged(variant, 3), 3),
                              .heads = at_most(ragged(variant, 2), 3),
                              .length = at_most(ragged(variant, 0), 63),
                              .head_dim = 2 * at_most(ragged(variant, 1), 65)};
    if (variant % SIZE_COUNT == 4) { /* more pairs than are held at once */
        desc->length = 3;
        desc->head_dim = 1030;
    }
    desc->x = rotary_layout(desc, variant % LAYOUTS);
    desc->y = rotary_layout(desc, variant / LAYOUTS % LAYOUTS);
    call->work = 50.0 * (double) (desc->batch * desc->heads * desc->length * desc->head_dim);
    return desc;
}

static int add_heads(call *call, const char *name, role role, const pan_head_layout *layout) {
    const pan_rotary_desc *desc = DESC(call, const pan_rotary_desc);
    const int64_t size[] = {desc->batch, desc->length, desc->heads, desc->head_dim};
    const int64_t stride[] = {layout->batch_stride, layout->length_stride, layout->head_stride, 1};
    const int64_t width = desc->heads * desc->head_dim;
    const int64_t offset = layout->length_stride == 3 * width ? width : 0;
    int64_t extent = offset + 1;
    for (int d = 0; d < 4; d++) {
        extent += (size[d] - 1) * stride[d];
    }
    return add_window(call, name, role, add_block(call, REAL, extent), offset, 4, size, stride);
}

static int add_first_position(call *call, int variant) {
    static const int64_t firsts[] = {0, 7, 1000, -5, 3000000, INT32_MAX - 1000};
    const int64_t first = firsts[variant % COUNT(firsts)];
    int view = add_integers(call, "first_position", INPUT, 1, first, first + 1);
    make_optional(call, view, variant % 4 != 3);
    return view;
}

static void prepare_rotary(call *call, int variant) {
    const pan_rotary_desc *desc = rotary_desc(call, variant);
    add_first_position(call, variant);
    add_heads(call, "x", INPUT, &desc->x);
    add_heads(call, "y", OUTPUT, &desc->y);
}

static void prepare_rotary_adjoint(call *call, int variant) {
    pan_rotary_desc *desc = rotary_desc(call, variant);
    const pan_head_layout x = desc->x;
    desc->x = desc->y;
    desc->y = x;
    desc->inverse = !desc->inverse;
    relate(call, add_first_position(call, variant), VALUE_OF, 0);
    relate(call, add_heads(call, "dy", INPUT, &desc->x), COTANGENT_OF, 2);
    relate(call, add_heads(call, "dx", OUTPUT, &desc->y), GRADIENT_OF, 1);
}

static pan_status invoke_rotary(pan_stream *stream, const void *desc, void *const *a, void *workspace, int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_rotary(stream, desc, a[0], a[1], a[2]);
}

#define ROTARY_FIELDS                                                                                                \
    {                                                                                                                \
        FIELD_ENUM(pan_rotary_desc, interleaved, 2), FIELD_ENUM(pan_rotary_desc, inverse, 2),                        \
            FIELD(pan_rotary_desc, batch, FIELD_SIZE), FIELD(pan_rotary_desc, heads, FIELD_SIZE),                    \
            FIELD(pan_rotary_desc, length, FIELD_SIZE), FIELD(pan_rotary_desc, head_dim, FIELD_SIZE),                \
            FIELD(pan_rotary_desc, x.batch_stride, FIELD_SIZE), FIELD(pan_rotary_desc, x.length_stride, FIELD_SIZE), \
            FIELD(pan_rotary_desc, x.head_stride, FIELD_SIZE), FIELD(pan_rotary_desc, y.batch_stride, FIELD_SIZE),   \
            FIELD(pan_rotary_desc, y.length_stride, FIELD_SIZE), FIELD(pan_rotary_desc, y.head_stride, FIELD_SIZE)   \
    }

/* ---- token shift ---- */

static const pan_token_shift_desc *token_shift_desc(call *call, int variant) {
    const int64_t batch = at_most(ragged(variant, 2), 7), length = ragged(variant, 0);
    pan_token_shift_desc *desc = DESC(call, pan_token_shift_desc);
    *desc = (pan_token_shift_desc){.struct_size = sizeof *desc,
                                   .batch = batch,
                                   .length = length,
                                   .channels = at_most(ragged(variant, 1), 40000 / (batch * length))};
    call->work = 2.0 * (double) (batch * length * desc->channels);
    return desc;
}

static void prepare_token_shift_forward(call *call, int variant) {
    const pan_token_shift_desc *desc = token_shift_desc(call, variant);
    const int64_t rows = desc->batch * desc->length, channels = desc->channels;
    add_rows(call, "x", INPUT, rows, channels, channels);
    add_vector(call, "mix", INPUT, channels);
    /* Backward has none, and the variants of the first half. */
    make_optional(call, add_rows(call, "previous", INPUT, desc->batch, channels, channels), variant >= SIZE_COUNT);
    add_rows(call, "y", OUTPUT, rows, channels, channels);
}

static pan_status invoke_token_shift_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                             int64_t bytes) {
    UNUSED_WORKSPACE;
    return pan_token_shift_forward(stream, desc, a[0], a[1], a[2], a[3]);
}

static void prepare_token_shift_backward(call *call, int variant) {
    const pan_token_shift_desc *desc = token_shift_desc(call, variant);
    const int64_t rows = desc->batch * desc->length, channels = desc->channels;
    relate(call, add_rows(call, "x", INPUT, rows, channels, channels), VALUE_OF, 0);
    relate(call, add_vector(call, "mix", INPUT, channels), VALUE_OF, 1);
    relate(call, add_rows(call, "dy", INPUT, rows, channels, channels), COTANGENT_OF, 3);
    int dx = add_rows(call, "dx", OUTPUT, rows, channels, channels);
    int dmix = add_vector(call, "dmix", ADDED, channels);
    relate(call, dx, GRADIENT_OF, 0);
    relate(call, dmix, GRADIENT_OF, 1);
    make_optional(call, dx, variant % 7 != 3);
    make_optional(call, dmix, variant % 7 != 4);
}

static pan_status invoke_token_shift_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                              int64_t bytes) {
    return pan_token_shift_backward(stream, desc, a[0], a[1], a[2], a[3], a[4], workspace, bytes);
}

static pan_status token_shift_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_token_shift_backward_workspace_size(stream, desc, bytes);
}

/* A sum over rows of products of differences: their size where they cancel. */
static double shift_terms(const call *call, int view) {
    const pan_token_shift_desc *desc = DESC(call, const pan_token_shift_desc);
    return call->views[view].role == ADDED ? sqrt((double) (desc->batch * desc->length)) : 0.0;
}

#define TOKEN_SHIFT_FIELDS                                                                               \
    {                                                                                                    \
        FIELD(pan_token_shift_desc, batch, FIELD_SIZE), FIELD(pan_token_shift_desc, length, FIELD_SIZE), \
            FIELD(pan_token_shift_desc, channels, FIELD_SIZE)                                            \
    }

enum { ROTARY, TOKEN_SHIFT, TOKEN_SHIFT_BACKWARD, END };

const op_case POSITION_CASES[] = {
    [ROTARY] = {.op = "rotary",
                .variants = 3 * SIZE_COUNT,
                .tolerance = 3e-7,
                .prepare = prepare_rotary,
                .invoke = invoke_rotary,
                .aliases = {{2, 1}},
                .desc_size = sizeof(pan_rotary_desc),
                .fields = ROTARY_FIELDS},
    [TOKEN_SHIFT] = {.op = "token_shift_forward",
                     .variants = 2 * SIZE_COUNT,
                     .tolerance = 3e-7,
                     .prepare = prepare_token_shift_forward,
                     .invoke = invoke_token_shift_forward,
                     .desc_size = sizeof(pan_token_shift_desc),
                     .fields = TOKEN_SHIFT_FIELDS},
    [TOKEN_SHIFT_BACKWARD] = {.op = "token_shift_backward",
                              .variants = SIZE_COUNT,
                              .tolerance = 3e-7,
                              .cancelling = shift_terms,
                              .prepare = prepare_token_shift_backward,
                              .invoke = invoke_token_shift_backward,
                              .workspace = token_shift_workspace,
                              .forward = &POSITION_CASES[TOKEN_SHIFT],
                              .desc_size = sizeof(pan_token_shift_desc),
                              .fields = TOKEN_SHIFT_FIELDS},
    [END] = {0},
};

const op_case ROTARY_ADJOINT = {.op = "rotary",
                                .title = "rotary, whose inverse is its adjoint",
                                .variants = 3 * SIZE_COUNT,
                                .prepare = prepare_rotary_adjoint,
                                .invoke = invoke_rotary,
                                .forward = &POSITION_CASES[ROTARY],
                                .desc_size = sizeof(pan_rotary_desc)};
