/* Public functions of what depends on positions: rotary embedding and token shift. */
#include <float.h>

#include "front_heads.h"

static head_sizes rotary_sizes(const pan_rotary_desc *desc) {
    return (head_sizes){desc->batch, desc->length, desc->heads, desc->head_dim, false};
}

static pan_status check_rotary(const char *op, const pan_stream *stream, const pan_rotary_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_kind(op, "interleaved", desc->interleaved, 2));
    PAN_TRY(pan_check_kind(op, "inverse", desc->inverse, 2));
    if (!(desc->base > 0.0 && desc->base <= DBL_MAX)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: base is %g; expected a number above 0", op, desc->base);
    }
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "heads", desc->heads));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "head_dim", desc->head_dim));
    if (desc->head_dim % 2 != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: head_dim is %lld; expected an even number", op,
                        (long long) desc->head_dim);
    }
    int64_t rows = pan_product(desc->batch, desc->heads, desc->length);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of x overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "x", rows, desc->head_dim));
    PAN_TRY(pan_check_layout(op, "x", rotary_sizes(desc), &desc->x));
    return pan_check_layout(op, "y", rotary_sizes(desc), &desc->y);
}

static bool same_layout(const pan_head_layout *a, const pan_head_layout *b) {
    return a->batch_stride == b->batch_stride && a->length_stride == b->length_stride &&
           a->head_stride == b->head_stride;
}

pan_status pan_rotary(pan_stream *stream, const pan_rotary_desc *desc, const int32_t *first_position, const void *x,
                      void *y) {
    PAN_FRONT(rotary)
    PAN_TRY(check_rotary(op, stream, desc));
    pan_array arrays[] = {
        PAN_OPTIONAL_INTEGERS(first_position, sizeof *first_position),
        pan_head_array(desc->dtype, "x", x, rotary_sizes(desc), &desc->x, PAN_ARRAY_INPUT),
        pan_head_array(desc->dtype, "y", y, rotary_sizes(desc), &desc->y, PAN_ARRAY_OUTPUT),
    };
    arrays[2].may_alias[0] = same_layout(&desc->x, &desc->y) ? "x" : NULL;
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->rotary(stream, desc, first_position, x, y);
}

static pan_status check_token_shift(const char *op, const pan_stream *stream, const pan_token_shift_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    int64_t rows = pan_product(desc->batch, desc->length, 1);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: batch * length overflows", op);
    }
    return pan_check_extent(op, "x", rows, desc->channels);
}

pan_status pan_token_shift_forward(pan_stream *stream, const pan_token_shift_desc *desc, const void *x,
                                   const float *mix, const void *previous, void *y) {
    PAN_FRONT(token_shift_forward)
    PAN_TRY(check_token_shift(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t example = desc->channels * element;
    int64_t bytes = desc->batch * desc->length * example;
    const pan_array arrays[] = {
        PAN_INPUT(x, bytes),
        PAN_INPUT(mix, desc->channels * pan_real_bytes(stream)),
        PAN_OPTIONAL_INPUT(previous, desc->batch * example),
        PAN_OUTPUT(y, bytes),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->token_shift_forward(stream, desc, x, mix, previous, y);
}

pan_status pan_token_shift_backward_workspace_size(pan_stream *stream, const pan_token_shift_desc *desc,
                                                   int64_t *bytes) {
    PAN_FRONT_SIZE(token_shift_backward_workspace_size, check_token_shift)
}

pan_status pan_token_shift_backward(pan_stream *stream, const pan_token_shift_desc *desc, const void *x,
                                    const float *mix, const void *dy, void *dx, float *dmix, void *workspace,
                                    int64_t workspace_bytes) {
    PAN_FRONT(token_shift_backward)
    PAN_TRY(check_token_shift(op, stream, desc));
    PAN_FRONT_WORKSPACE(token_shift_backward_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = desc->batch * desc->length * desc->channels * element;
    int64_t mix_bytes = desc->channels * pan_real_bytes(stream);
    const pan_array arrays[] = {
        PAN_INPUT(x, bytes),
        PAN_INPUT(mix, mix_bytes),
        PAN_INPUT(dy, bytes),
        PAN_OPTIONAL_OUTPUT(dx, bytes),
        PAN_OPTIONAL_OUTPUT(dmix, mix_bytes),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->token_shift_backward(stream, desc, x, mix, dy, dx, dmix, workspace, workspace_bytes);
}
