/* Public functions of the selective scan. */
#include "front.h"
#include "selective_scan.h"

static pan_status check_selective_scan(const char *op, const pan_stream *stream, const pan_selective_scan_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_size(op, "state_size", desc->state_size));
    PAN_TRY(pan_check_stride(op, "u_stride", desc->u_stride, desc->channels));
    PAN_TRY(pan_check_stride(op, "delta_stride", desc->delta_stride, desc->channels));
    PAN_TRY(pan_check_stride(op, "b_stride", desc->b_stride, desc->state_size));
    PAN_TRY(pan_check_stride(op, "c_stride", desc->c_stride, desc->state_size));
    PAN_TRY(pan_check_stride(op, "y_stride", desc->y_stride, desc->channels));
    const int64_t rows = pan_product(desc->batch, desc->length, 1);
    const int64_t states = pan_product(desc->batch, pan_scan_chunks(desc->length), desc->state_size);
    if (rows < 0 || states < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: batch * length * state_size overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "u", rows, desc->u_stride));
    PAN_TRY(pan_check_extent(op, "delta", rows, desc->delta_stride));
    PAN_TRY(pan_check_extent(op, "b", rows, desc->b_stride));
    PAN_TRY(pan_check_extent(op, "c", rows, desc->c_stride));
    PAN_TRY(pan_check_extent(op, "y", rows, desc->y_stride));
    PAN_TRY(pan_check_extent(op, "a_log", desc->channels, desc->state_size));
    return pan_check_extent(op, "checkpoints", states, desc->channels);
}

static pan_status check_gate(const char *op, const pan_selective_scan_desc *desc, const void *z) {
    if (z == NULL) {
        return PAN_OK;
    }
    PAN_TRY(pan_check_stride(op, "z_stride", desc->z_stride, desc->channels));
    return pan_check_extent(op, "z", desc->batch * desc->length, desc->z_stride);
}

/* An array of activations, which may be a column range of a packed one. */
static pan_array position_array(const pan_selective_scan_desc *desc, const char *name, const void *address,
                                int64_t stride, int64_t columns, int32_t flags) {
    if (address == NULL && flags & PAN_ARRAY_OPTIONAL) {
        return (pan_array){.name = name, .flags = flags}; /* its stride does not count */
    }
    const int64_t element = pan_element_bytes(desc->dtype);
    return (pan_array){.name = name,
                       .address = address,
                       .bytes = pan_extent(desc->batch * desc->length, stride, columns, element),
                       .flags = flags,
                       .stride = stride * element,
                       .row = columns * element};
}

#define POSITIONS(name, stride_of, columns, flags) \
    position_array(desc, #name, name, desc->stride_of##_stride, desc->columns, flags)

static int64_t checkpoint_bytes(const pan_stream *stream, const pan_selective_scan_desc *desc) {
    const int64_t states = desc->batch * pan_scan_chunks(desc->length) * desc->state_size;
    return pan_product(states, desc->channels, pan_real_bytes(stream));
}

pan_status pan_selective_scan_checkpoints_size(pan_stream *stream, const pan_selective_scan_desc *desc,
                                               int64_t *bytes) {
    PAN_FRONT_SIZE(selective_scan_checkpoints_size, check_selective_scan)
}

pan_status pan_selective_scan_forward_workspace_size(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                     int64_t *bytes) {
    PAN_FRONT_SIZE(selective_scan_forward_workspace_size, check_selective_scan)
}

pan_status pan_selective_scan_forward(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                      const void *delta, const float *a_log, const void *b, const void *c,
                                      const float *skip, const float *delta_bias, const void *z,
                                      const float *initial_state, void *y, float *checkpoints, float *final_state,
                                      void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(selective_scan_forward)
    PAN_TRY(check_selective_scan(op, stream, desc));
    PAN_TRY(check_gate(op, desc, z));
    PAN_FRONT_WORKSPACE(selective_scan_forward_workspace_size)
    const int64_t real = pan_real_bytes(stream);
    const int64_t channel_bytes = desc->channels * real;
    const int64_t state_bytes = pan_product(desc->batch * desc->state_size, desc->channels, real);
    const pan_array arrays[] = {
        POSITIONS(u, u, channels, PAN_ARRAY_INPUT),
        POSITIONS(delta, delta, channels, PAN_ARRAY_INPUT),
        PAN_INPUT(a_log, pan_product(desc->channels, desc->state_size, real)),
        POSITIONS(b, b, state_size, PAN_ARRAY_INPUT),
        POSITIONS(c, c, state_size, PAN_ARRAY_INPUT),
        PAN_OPTIONAL_INPUT(skip, channel_bytes),
        PAN_OPTIONAL_INPUT(delta_bias, channel_bytes),
        POSITIONS(z, z, channels, PAN_ARRAY_INPUT | PAN_ARRAY_OPTIONAL),
        PAN_OPTIONAL_INPUT(initial_state, state_bytes),
        POSITIONS(y, y, channels, PAN_ARRAY_OUTPUT),
        PAN_OPTIONAL_OUTPUT(checkpoints, checkpoint_bytes(stream, desc)),
        PAN_OPTIONAL_OUTPUT(final_state, state_bytes, "initial_state"),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->selective_scan_forward(stream, desc, u, delta, a_log, b, c, skip, delta_bias, z, initial_state, y,
                                       checkpoints, final_state, workspace, workspace_bytes);
}

pan_status pan_selective_scan_backward_workspace_size(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                      int64_t *bytes) {
    PAN_FRONT_SIZE(selective_scan_backward_workspace_size, check_selective_scan)
}

pan_status pan_selective_scan_backward(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                       const void *delta, const float *a_log, const void *b, const void *c,
                                       const float *skip, const float *delta_bias, const void *z,
                                       const float *checkpoints, const void *dy, void *du, void *ddelta, float *da_log,
                                       void *db, void *dc, float *dskip, float *ddelta_bias, void *dz, void *workspace,
                                       int64_t workspace_bytes) {
    PAN_FRONT(selective_scan_backward)
    PAN_TRY(check_selective_scan(op, stream, desc));
    PAN_TRY(check_gate(op, desc, z));
    if ((z == NULL) != (dz == NULL)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is NULL and %s is not; expected both or neither", op,
                        z == NULL ? "z" : "dz", z == NULL ? "dz" : "z");
    }
    PAN_FRONT_WORKSPACE(selective_scan_backward_workspace_size)
    const int64_t real = pan_real_bytes(stream);
    const int64_t channel_bytes = desc->channels * real;
    const int64_t rate_bytes = pan_product(desc->channels, desc->state_size, real);
    const pan_array arrays[] = {
        POSITIONS(u, u, channels, PAN_ARRAY_INPUT),
        POSITIONS(delta, delta, channels, PAN_ARRAY_INPUT),
        PAN_INPUT(a_log, rate_bytes),
        POSITIONS(b, b, state_size, PAN_ARRAY_INPUT),
        POSITIONS(c, c, state_size, PAN_ARRAY_INPUT),
        PAN_OPTIONAL_INPUT(skip, channel_bytes),
        PAN_OPTIONAL_INPUT(delta_bias, channel_bytes),
        POSITIONS(z, z, channels, PAN_ARRAY_INPUT | PAN_ARRAY_OPTIONAL),
        PAN_INPUT(checkpoints, checkpoint_bytes(stream, desc)),
        POSITIONS(dy, y, channels, PAN_ARRAY_INPUT),
        POSITIONS(du, u, channels, PAN_ARRAY_OUTPUT),
        POSITIONS(ddelta, delta, channels, PAN_ARRAY_OUTPUT),
        PAN_OUTPUT(da_log, rate_bytes),
        POSITIONS(db, b, state_size, PAN_ARRAY_OUTPUT),
        POSITIONS(dc, c, state_size, PAN_ARRAY_OUTPUT),
        PAN_OPTIONAL_OUTPUT(dskip, channel_bytes),
        PAN_OPTIONAL_OUTPUT(ddelta_bias, channel_bytes),
        POSITIONS(dz, z, channels, PAN_ARRAY_OUTPUT | PAN_ARRAY_OPTIONAL),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->selective_scan_backward(stream, desc, u, delta, a_log, b, c, skip, delta_bias, z, checkpoints, dy, du,
                                        ddelta, da_log, db, dc, dskip, ddelta_bias, dz, workspace, workspace_bytes);
}
