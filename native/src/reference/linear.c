/* Affine map of every row. */
#include "real.h"

pan_status PAN_BODY(linear_forward)(pan_stream *stream, const pan_linear_desc *desc, const void *x_,
                                    const float *weight_, const float *bias_, void *y_) {
    (void) stream;
    const real *x = x_, *weight = REAL(weight_), *bias = REAL(bias_);
    real *y = y_;
    for (int64_t r = 0; r < desc->rows; r++) {
        for (int64_t o = 0; o < desc->out_features; o++) {
            double sum = bias == NULL ? 0.0 : bias[o];
            for (int64_t i = 0; i < desc->in_features; i++) {
                sum += (double) x[r * desc->x_stride + i] * weight[o * desc->in_features + i];
            }
            y[r * desc->y_stride + o] = (real) sum;
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(linear_backward_workspace_size)(pan_stream *stream, const pan_linear_desc *desc, int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

static void input_gradient(const pan_linear_desc *desc, const real *weight, const real *dy, real *dx) {
    for (int64_t r = 0; r < desc->rows; r++) {
        for (int64_t i = 0; i < desc->in_features; i++) {
            double sum = 0.0;
            for (int64_t o = 0; o < desc->out_features; o++) {
                sum += (double) dy[r * desc->y_stride + o] * weight[o * desc->in_features + i];
            }
            dx[r * desc->x_stride + i] = (real) sum;
        }
    }
}

static void weight_gradient(const pan_linear_desc *desc, const real *x, const real *dy, real *dweight) {
    for (int64_t o = 0; o < desc->out_features; o++) {
        for (int64_t i = 0; i < desc->in_features; i++) {
            double sum = 0.0;
            for (int64_t r = 0; r < desc->rows; r++) {
                sum += (double) dy[r * desc->y_stride + o] * x[r * desc->x_stride + i];
            }
            dweight[o * desc->in_features + i] += (real) sum;
        }
    }
}

static void bias_gradient(const pan_linear_desc *desc, const real *dy, real *dbias) {
    for (int64_t o = 0; o < desc->out_features; o++) {
        double sum = 0.0;
        for (int64_t r = 0; r < desc->rows; r++) {
            sum += dy[r * desc->y_stride + o];
        }
        dbias[o] += (real) sum;
    }
}

pan_status PAN_BODY(linear_backward)(pan_stream *stream, const pan_linear_desc *desc, const void *x,
                                     const float *weight, const void *dy, void *dx, float *dweight, float *dbias,
                                     void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    if (dx != NULL) {
        input_gradient(desc, REAL(weight), dy, dx);
    }
    if (dweight != NULL) {
        weight_gradient(desc, x, dy, REAL_OUT(dweight));
    }
    if (dbias != NULL) {
        bias_gradient(desc, dy, REAL_OUT(dbias));
    }
    return PAN_OK;
}
