/* Public functions of the short convolution. */
#include "front.h"

static pan_status check_short_conv(const char *op, const pan_stream *stream, const pan_short_conv_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_size(op, "taps", desc->taps));
    PAN_TRY(pan_check_stride(op, "x_stride", desc->x_stride, desc->channels));
    PAN_TRY(pan_check_stride(op, "y_stride", desc->y_stride, desc->channels));
    int64_t rows = pan_product(desc->batch, desc->length, 1);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: batch * length overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "x", rows, desc->x_stride));
    PAN_TRY(pan_check_extent(op, "y", rows, desc->y_stride));
    return pan_check_extent(op, "weight", desc->channels, desc->taps);
}

/* An array of activations, which may be a column range of a packed one. */
static pan_array position_array(const pan_short_conv_desc *desc, const char *name, const void *address, int64_t stride,
                                int32_t flags) {
    int64_t element = pan_element_bytes(desc->dtype);
    return (pan_array){.name = name,
                       .address = address,
                       .bytes = pan_extent(desc->batch * desc->length, stride, desc->channels, element),
                       .flags = flags,
                       .stride = stride * element,
                       .row = desc->channels * element};
}

pan_status pan_short_conv_forward(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                  const float *weight, const float *bias, void *y) {
    PAN_FRONT(short_conv_forward)
    PAN_TRY(check_short_conv(op, stream, desc));
    int64_t real = pan_real_bytes(stream);
    const pan_array arrays[] = {
        position_array(desc, "x", x, desc->x_stride, PAN_ARRAY_INPUT),
        PAN_INPUT(weight, pan_product(desc->channels, desc->taps, real)),
        PAN_OPTIONAL_INPUT(bias, desc->channels * real),
        position_array(desc, "y", y, desc->y_stride, PAN_ARRAY_OUTPUT),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->short_conv_forward(stream, desc, x, weight, bias, y);
}

pan_status pan_short_conv_backward_workspace_size(pan_stream *stream, const pan_short_conv_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(short_conv_backward_workspace_size, check_short_conv)
}

pan_status pan_short_conv_backward(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                   const float *weight, const void *dy, void *dx, float *dweight, float *dbias,
                                   void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(short_conv_backward)
    PAN_TRY(check_short_conv(op, stream, desc));
    PAN_FRONT_WORKSPACE(short_conv_backward_workspace_size)
    int64_t real = pan_real_bytes(stream);
    int64_t weight_bytes = pan_product(desc->channels, desc->taps, real);
    const pan_array arrays[] = {
        position_array(desc, "x", x, desc->x_stride, PAN_ARRAY_INPUT),
        PAN_INPUT(weight, weight_bytes),
        position_array(desc, "dy", dy, desc->y_stride, PAN_ARRAY_INPUT),
        position_array(desc, "dx", dx, desc->x_stride, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
        PAN_OPTIONAL_OUTPUT(dweight, weight_bytes),
        PAN_OPTIONAL_OUTPUT(dbias, desc->channels * real),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->short_conv_backward(stream, desc, x, weight, dy, dx, dweight, dbias, workspace, workspace_bytes);
}
