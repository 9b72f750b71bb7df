/* Element-wise activations. */
#include "activation.h"

pan_status PAN_BODY(activation_forward)(pan_stream *stream, const pan_activation_desc *desc, const void *x_, void *y_) {
    (void) stream;
    const real *x = x_;
    real *y = y_;
    for (int64_t i = 0; i < desc->count; i++) {
        y[i] = (real) activation(desc->kind, x[i]);
    }
    return PAN_OK;
}

pan_status PAN_BODY(activation_backward)(pan_stream *stream, const pan_activation_desc *desc, const void *x_,
                                         const void *dy_, void *dx_) {
    (void) stream;
    const real *x = x_, *dy = dy_;
    real *dx = dx_;
    for (int64_t i = 0; i < desc->count; i++) {
        dx[i] = (real) (activation_derivative(desc->kind, x[i]) * dy[i]);
    }
    return PAN_OK;
}
