/* Gating: f(a) * b + c. */
#include "activation.h"

pan_status PAN_BODY(gate_forward)(pan_stream *stream, const pan_gate_desc *desc, const void *a_, const void *b_,
                                  const void *c_, void *y_) {
    (void) stream;
    const real *a = a_, *b = b_, *c = c_;
    real *y = y_;
    for (int64_t r = 0; r < desc->rows; r++) {
        for (int64_t j = 0; j < desc->channels; j++) {
            double shift = c == NULL ? 0.0 : c[r * desc->c_stride + j];
            double gate = activation(desc->activation, a[r * desc->a_stride + j]);
            y[r * desc->y_stride + j] = (real) (gate * b[r * desc->b_stride + j] + shift);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(gate_backward)(pan_stream *stream, const pan_gate_desc *desc, const void *a_, const void *b_,
                                   const void *dy_, void *da_, void *db_) {
    (void) stream;
    const real *a = a_, *b = b_, *dy = dy_;
    real *da = da_, *db = db_;
    for (int64_t r = 0; r < desc->rows; r++) {
        for (int64_t j = 0; j < desc->channels; j++) {
            double a_value = a[r * desc->a_stride + j];
            double b_value = b[r * desc->b_stride + j];
            double dy_value = dy[r * desc->y_stride + j];
            if (da != NULL) {
                double derivative = activation_derivative(desc->activation, a_value);
                da[r * desc->a_stride + j] = (real) (derivative * b_value * dy_value);
            }
            if (db != NULL) {
                db[r * desc->b_stride + j] = (real) (activation(desc->activation, a_value) * dy_value);
            }
        }
    }
    return PAN_OK;
}
