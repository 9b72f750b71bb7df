/* Public functions of the ops that make implicit filters. */
#include <math.h>

#include "front.h"

pan_status pan_positional_features(pan_stream *stream, const pan_positional_features_desc *desc, float *z) {
    PAN_FRONT(positional_features)
    int64_t real = pan_real_bytes(stream);
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, real == 8 ? PAN_F64 : PAN_F32));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "bands", desc->bands));
    PAN_TRY(pan_check_extent(op, "z", desc->length, 2 * desc->bands + 1));
    const pan_array arrays[] = {PAN_OUTPUT(z, pan_product(desc->length, 2 * desc->bands + 1, real))};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), real));
    return ops->positional_features(stream, desc, z);
}

static pan_status check_sine_layer(const char *op, const pan_stream *stream, const pan_sine_layer_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "rows", desc->rows));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    return pan_check_extent(op, "x", desc->rows, desc->channels);
}

pan_status pan_sine_layer_forward(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                  const float *frequency, void *y) {
    PAN_FRONT(sine_layer_forward)
    PAN_TRY(check_sine_layer(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = pan_product(desc->rows, desc->channels, element);
    const pan_array arrays[] = {
        PAN_INPUT(x, bytes),
        PAN_INPUT(frequency, desc->channels * pan_real_bytes(stream)),
        PAN_OUTPUT(y, bytes, "x"),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->sine_layer_forward(stream, desc, x, frequency, y);
}

pan_status pan_sine_layer_backward_workspace_size(pan_stream *stream, const pan_sine_layer_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(sine_layer_backward_workspace_size, check_sine_layer)
}

pan_status pan_sine_layer_backward(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                   const float *frequency, const void *dy, void *dx, float *dfrequency, void *workspace,
                                   int64_t workspace_bytes) {
    PAN_FRONT(sine_layer_backward)
    PAN_TRY(check_sine_layer(op, stream, desc));
    PAN_FRONT_WORKSPACE(sine_layer_backward_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    int64_t bytes = pan_product(desc->rows, desc->channels, element);
    const pan_array arrays[] = {
        PAN_INPUT(x, bytes),
        PAN_INPUT(frequency, desc->channels * real),
        PAN_INPUT(dy, bytes),
        PAN_OPTIONAL_OUTPUT(dx, bytes, "dy"),
        PAN_OPTIONAL_OUTPUT(dfrequency, desc->channels * real),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->sine_layer_backward(stream, desc, x, frequency, dy, dx, dfrequency, workspace, workspace_bytes);
}

pan_status pan_exponential_modulation(pan_stream *stream, const pan_exponential_modulation_desc *desc, const void *x,
                                      const float *rate, void *y) {
    PAN_FRONT(exponential_modulation)
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_extent(op, "x", desc->length, desc->channels));
    if (!(desc->time_step >= 0.0 && isfinite(desc->time_step))) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: time_step is %g; expected a finite number >= 0", op,
                        desc->time_step);
    }
    if (!isfinite(desc->shift)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: shift is %g; expected a finite number", op, desc->shift);
    }
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = pan_product(desc->length, desc->channels, element);
    const pan_array arrays[] = {
        PAN_INPUT(x, bytes),
        PAN_INPUT(rate, desc->channels * pan_real_bytes(stream)),
        PAN_OUTPUT(y, bytes, "x"),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->exponential_modulation(stream, desc, x, rate, y);
}
