/* Public functions of the RWKV-4 recurrence. */
#include "front.h"

static pan_status check_wkv(const char *op, const pan_stream *stream, const pan_wkv_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    int64_t rows = pan_product(desc->batch, desc->length, 1);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: batch * length overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "k", rows, desc->channels));
    return pan_check_extent(op, "the state", desc->batch, 3 * desc->channels);
}

pan_status pan_wkv_forward(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                           const float *decay, const float *first, const float *initial_state, void *y,
                           float *final_state) {
    PAN_FRONT(wkv_forward)
    PAN_TRY(check_wkv(op, stream, desc));
    int64_t real = pan_real_bytes(stream), element = pan_element_bytes(desc->dtype);
    int64_t bytes = desc->batch * desc->length * desc->channels * element;
    int64_t state_bytes = desc->batch * 3 * desc->channels * real;
    const pan_array arrays[] = {
        PAN_INPUT(k, bytes),
        PAN_INPUT(v, bytes),
        PAN_INPUT(decay, desc->channels * real),
        PAN_INPUT(first, desc->channels * real),
        PAN_OPTIONAL_INPUT(initial_state, state_bytes),
        PAN_OUTPUT(y, bytes),
        PAN_OPTIONAL_OUTPUT(final_state, state_bytes, "initial_state"),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->wkv_forward(stream, desc, k, v, decay, first, initial_state, y, final_state);
}

pan_status pan_wkv_backward_workspace_size(pan_stream *stream, const pan_wkv_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(wkv_backward_workspace_size, check_wkv)
}

pan_status pan_wkv_backward(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                            const float *decay, const float *first, const void *dy, void *dk, void *dv, float *ddecay,
                            float *dfirst, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(wkv_backward)
    PAN_TRY(check_wkv(op, stream, desc));
    PAN_FRONT_WORKSPACE(wkv_backward_workspace_size)
    int64_t real = pan_real_bytes(stream), element = pan_element_bytes(desc->dtype);
    int64_t bytes = desc->batch * desc->length * desc->channels * element;
    const pan_array arrays[] = {
        PAN_INPUT(k, bytes),
        PAN_INPUT(v, bytes),
        PAN_INPUT(decay, desc->channels * real),
        PAN_INPUT(first, desc->channels * real),
        PAN_INPUT(dy, bytes),
        PAN_OPTIONAL_OUTPUT(dk, bytes),
        PAN_OPTIONAL_OUTPUT(dv, bytes),
        PAN_OPTIONAL_OUTPUT(ddecay, desc->channels * real),
        PAN_OPTIONAL_OUTPUT(dfirst, desc->channels * real),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->wkv_backward(stream, desc, k, v, decay, first, dy, dk, dv, ddecay, dfirst, workspace, workspace_bytes);
}
