/* Public functions of the ops that make and apply the filters of state spaces. */
#include "front.h"

/* The dtype of a descriptor that has none: that of its f32 arrays. */
static pan_dtype real_dtype(const pan_stream *stream) {
    return pan_real_bytes(stream) == 8 ? PAN_F64 : PAN_F32;
}

static pan_status check_diagonal_ssm(const char *op, const pan_stream *stream, const pan_diagonal_ssm_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, real_dtype(stream)));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_size(op, "heads", desc->heads));
    PAN_TRY(pan_check_size(op, "modes", desc->modes));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_extent(op, "b", desc->heads, 2 * desc->modes));
    return pan_check_extent(op, "filter", desc->length, desc->heads);
}

pan_status pan_diagonal_ssm_forward_workspace_size(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                   int64_t *bytes) {
    PAN_FRONT_SIZE(diagonal_ssm_forward_workspace_size, check_diagonal_ssm)
}

pan_status pan_diagonal_ssm_forward(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                    const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                    float *filter, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(diagonal_ssm_forward)
    PAN_TRY(check_diagonal_ssm(op, stream, desc));
    PAN_FRONT_WORKSPACE(diagonal_ssm_forward_workspace_size)
    int64_t real = pan_real_bytes(stream);
    int64_t modes = pan_product(desc->heads, desc->modes, real);
    const pan_array arrays[] = {
        PAN_INPUT(log_dt, desc->heads * real),
        PAN_INPUT(a_real_log, modes),
        PAN_INPUT(a_imag, modes),
        PAN_INPUT(b, 2 * modes),
        PAN_INPUT(c, 2 * modes),
        PAN_OUTPUT(filter, pan_product(desc->length, desc->heads, real)),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), real));
    return ops->diagonal_ssm_forward(stream, desc, log_dt, a_real_log, a_imag, b, c, filter, workspace,
                                     workspace_bytes);
}

pan_status pan_diagonal_ssm_backward_workspace_size(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                    int64_t *bytes) {
    PAN_FRONT_SIZE(diagonal_ssm_backward_workspace_size, check_diagonal_ssm)
}

pan_status pan_diagonal_ssm_backward(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                     const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                     const float *dfilter, float *dlog_dt, float *da_real_log, float *da_imag,
                                     float *db, float *dc, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(diagonal_ssm_backward)
    PAN_TRY(check_diagonal_ssm(op, stream, desc));
    PAN_FRONT_WORKSPACE(diagonal_ssm_backward_workspace_size)
    int64_t real = pan_real_bytes(stream);
    int64_t modes = pan_product(desc->heads, desc->modes, real);
    const pan_array arrays[] = {
        PAN_INPUT(log_dt, desc->heads * real),
        PAN_INPUT(a_real_log, modes),
        PAN_INPUT(a_imag, modes),
        PAN_INPUT(b, 2 * modes),
        PAN_INPUT(c, 2 * modes),
        PAN_INPUT(dfilter, pan_product(desc->length, desc->heads, real)),
        PAN_OPTIONAL_OUTPUT(dlog_dt, desc->heads * real),
        PAN_OPTIONAL_OUTPUT(da_real_log, modes),
        PAN_OPTIONAL_OUTPUT(da_imag, modes),
        PAN_OPTIONAL_OUTPUT(db, 2 * modes),
        PAN_OPTIONAL_OUTPUT(dc, 2 * modes),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), real));
    return ops->diagonal_ssm_backward(stream, desc, log_dt, a_real_log, a_imag, b, c, dfilter, dlog_dt, da_real_log,
                                      da_imag, db, dc, workspace, workspace_bytes);
}

static pan_status check_diagonal_ssm_scan(const char *op, const pan_stream *stream,
                                          const pan_diagonal_ssm_scan_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "heads", desc->heads));
    PAN_TRY(pan_check_size(op, "repeats", desc->repeats));
    PAN_TRY(pan_check_size(op, "modes", desc->modes));
    int64_t rows = pan_product(desc->batch, desc->length, 1);
    int64_t channels = pan_product(desc->repeats, desc->heads, 1);
    if (rows < 0 || channels < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s overflows", op, rows < 0 ? "batch * length" : "repeats * heads");
    }
    PAN_TRY(pan_check_extent(op, "u", rows, channels));
    int64_t states = pan_product(desc->batch, channels, 1);
    if (states < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: batch * repeats * heads overflows", op);
    }
    return pan_check_extent(op, "state", states, 2 * desc->modes);
}

pan_status pan_diagonal_ssm_scan_workspace_size(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc,
                                                int64_t *bytes) {
    PAN_FRONT_SIZE(diagonal_ssm_scan_workspace_size, check_diagonal_ssm_scan)
}

pan_status pan_diagonal_ssm_scan(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc, const void *u,
                                 const float *log_dt, const float *a_real_log, const float *a_imag, const float *b,
                                 const float *c, float *state, void *y, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(diagonal_ssm_scan)
    PAN_TRY(check_diagonal_ssm_scan(op, stream, desc));
    PAN_FRONT_WORKSPACE(diagonal_ssm_scan_workspace_size)
    int64_t real = pan_real_bytes(stream);
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t channels = desc->repeats * desc->heads;
    int64_t modes = pan_product(desc->heads, desc->modes, real);
    int64_t bytes = pan_product(desc->batch * desc->length, channels, element);
    const pan_array arrays[] = {
        PAN_INPUT(u, bytes),
        PAN_INPUT(log_dt, desc->heads * real),
        PAN_INPUT(a_real_log, modes),
        PAN_INPUT(a_imag, modes),
        PAN_INPUT(b, 2 * modes),
        PAN_INPUT(c, 2 * modes),
        PAN_OUTPUT(state, pan_product(desc->batch * channels, 2 * desc->modes, real)),
        PAN_OUTPUT(y, bytes, "u"),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->diagonal_ssm_scan(stream, desc, u, log_dt, a_real_log, a_imag, b, c, state, y, workspace,
                                  workspace_bytes);
}

static pan_status check_shift_ssm(const char *op, const pan_stream *stream, const pan_shift_ssm_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, real_dtype(stream)));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_size(op, "state_size", desc->state_size));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_extent(op, "b", desc->channels, desc->state_size));
    return pan_check_extent(op, "filter", desc->length, desc->channels);
}

pan_status pan_shift_ssm_forward(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b, const float *c,
                                 float *filter) {
    PAN_FRONT(shift_ssm_forward)
    PAN_TRY(check_shift_ssm(op, stream, desc));
    int64_t real = pan_real_bytes(stream);
    int64_t bytes = pan_product(desc->channels, desc->state_size, real);
    const pan_array arrays[] = {
        PAN_INPUT(b, bytes),
        PAN_INPUT(c, bytes),
        PAN_OUTPUT(filter, pan_product(desc->length, desc->channels, real)),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), real));
    return ops->shift_ssm_forward(stream, desc, b, c, filter);
}

pan_status pan_shift_ssm_backward(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b, const float *c,
                                  const float *dfilter, float *db, float *dc) {
    PAN_FRONT(shift_ssm_backward)
    PAN_TRY(check_shift_ssm(op, stream, desc));
    int64_t real = pan_real_bytes(stream);
    int64_t bytes = pan_product(desc->channels, desc->state_size, real);
    const pan_array arrays[] = {
        PAN_INPUT(b, bytes),
        PAN_INPUT(c, bytes),
        PAN_INPUT(dfilter, pan_product(desc->length, desc->channels, real)),
        PAN_OPTIONAL_OUTPUT(db, bytes),
        PAN_OPTIONAL_OUTPUT(dc, bytes),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), real));
    return ops->shift_ssm_backward(stream, desc, b, c, dfilter, db, dc);
}
