/* Cases of the short convolution. */
#include "cases.h"

/* One that has its own code, or not; more than a tile of taps, more than a chunk of rows, more than there are positions.
 * Their number has no factor in common with SIZE_COUNT. */
static const int64_t TAPS[] = {3, 2, 4, 1, 5, 16, 23, 70};

static pan_short_conv_desc *short_conv_desc(call *call, int variant) {
    int64_t batch = at_most(ragged(variant, 3), 7), length = ragged(variant, 0);
    int64_t channels = at_most(ragged(variant, 1), 40000 / (batch * length));
    pan_short_conv_desc *desc = DESC(call, pan_short_conv_desc);
    *desc = (pan_short_conv_desc){.struct_size = sizeof *desc,
                                  .batch = batch,
                                  .length = length,
                                  .channels = channels,
                                  .taps = TAPS[variant % COUNT(TAPS)],
                                  .x_stride = variant % 3 == 1 ? 3 * channels : channels,
                                  .y_stride = variant % 3 == 2 ? channels + 5 : channels};
    call->work = (double) (batch * length * channels * desc->taps);
    return desc;
}

/* x or dx: every third variant it is the middle of three column ranges. */
static int add_positions(call *call, const char *name, role role) {
    const pan_short_conv_desc *desc = DESC(call, pan_short_conv_desc);
    const int64_t rows = desc->batch * desc->length;
    if (desc->x_stride == desc->channels) {
        return add_rows(call, name, role, rows, desc->channels, desc->x_stride);
    }
    const int64_t size[] = {rows, desc->channels}, stride[] = {desc->x_stride, 1};
    return add_window(call, name, role, add_block(call, REAL, rows * desc->x_stride), desc->channels, 2, size, stride);
}

static void prepare_short_conv_forward(call *call, int variant) {
    const pan_short_conv_desc *desc = short_conv_desc(call, variant);
    add_positions(call, "x", INPUT);
    add_rows(call, "weight", INPUT, desc->channels, desc->taps, desc->taps);
    make_optional(call, add_vector(call, "bias", INPUT, desc->channels), variant % 2 == 0);
    add_rows(call, "y", OUTPUT, desc->batch * desc->length, desc->channels, desc->y_stride);
}

static pan_status invoke_short_conv_forward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                            int64_t bytes) {
    (void) workspace;
    (void) bytes;
    return pan_short_conv_forward(stream, desc, a[0], a[1], a[2], a[3]);
}

static void prepare_short_conv_backward(call *call, int variant) {
    const pan_short_conv_desc *desc = short_conv_desc(call, variant);
    relate(call, add_positions(call, "x", INPUT), VALUE_OF, 0);
    relate(call, add_rows(call, "weight", INPUT, desc->channels, desc->taps, desc->taps), VALUE_OF, 1);
    relate(call, add_rows(call, "dy", INPUT, desc->batch * desc->length, desc->channels, desc->y_stride), COTANGENT_OF,
           3);
    int dx = add_positions(call, "dx", OUTPUT);
    int dweight = add_rows(call, "dweight", ADDED, desc->channels, desc->taps, desc->taps);
    int dbias = add_vector(call, "dbias", ADDED, desc->channels);
    relate(call, dx, GRADIENT_OF, 0);
    relate(call, dweight, GRADIENT_OF, 1);
    relate(call, dbias, GRADIENT_OF, 2);
    make_optional(call, dx, variant % 7 != 3);
    make_optional(call, dweight, variant % 7 != 4);
    make_optional(call, dbias, variant % 7 != 5);
}

static pan_status invoke_short_conv_backward(pan_stream *stream, const void *desc, void *const *a, void *workspace,
                                             int64_t bytes) {
    return pan_short_conv_backward(stream, desc, a[0], a[1], a[2], a[3], a[4], a[5], workspace, bytes);
}

static pan_status short_conv_backward_workspace(pan_stream *stream, const void *desc, int64_t *bytes) {
    return pan_short_conv_backward_workspace_size(stream, desc, bytes);
}

#define SHORT_CONV_FIELDS                                                                                          \
    {                                                                                                              \
        FIELD(pan_short_conv_desc, batch, FIELD_SIZE), FIELD(pan_short_conv_desc, length, FIELD_SIZE),             \
            FIELD(pan_short_conv_desc, channels, FIELD_SIZE), FIELD(pan_short_conv_desc, taps, FIELD_SIZE),        \
            FIELD(pan_short_conv_desc, x_stride, FIELD_STRIDE), FIELD(pan_short_conv_desc, y_stride, FIELD_STRIDE) \
    }

enum { SHORT_CONV, SHORT_CONV_BACKWARD, END };

const op_case CONVOLUTION_CASES[] = {
    [SHORT_CONV] = {.op = "short_conv_forward",
                    .variants = 4 * SIZE_COUNT,
                    .tolerance = 2e-6,
                    .prepare = prepare_short_conv_forward,
                    .invoke = invoke_short_conv_forward,
                    .desc_size = sizeof(pan_short_conv_desc),
                    .fields = SHORT_CONV_FIELDS},
    [SHORT_CONV_BACKWARD] = {.op = "short_conv_backward",
                             .variants = 4 * SIZE_COUNT,
                             .tolerance = 2e-6,
                             .prepare = prepare_short_conv_backward,
                             .invoke = invoke_short_conv_backward,
                             .workspace = short_conv_backward_workspace,
                             .forward = &CONVOLUTION_CASES[SHORT_CONV],
                             .desc_size = sizeof(pan_short_conv_desc),
                             .fields = SHORT_CONV_FIELDS},
    [END] = {0},
};
