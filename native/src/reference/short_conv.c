/* Causal depthwise convolution with a few taps. */
#include "real.h"

/* The first tap that meets a position of the sequence for the output at t. */
static int64_t first_tap(const pan_short_conv_desc *desc, int64_t t) {
    return t < desc->taps - 1 ? desc->taps - 1 - t : 0;
}

pan_status PAN_BODY(short_conv_forward)(pan_stream *stream, const pan_short_conv_desc *desc, const void *x_,
                                        const float *weight_, const float *bias_, void *y_) {
    (void) stream;
    const real *x = x_, *weight = REAL(weight_), *bias = REAL(bias_);
    real *y = y_;
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        int64_t t = row % desc->length;
        for (int64_t c = 0; c < desc->channels; c++) {
            double sum = bias == NULL ? 0.0 : bias[c];
            for (int64_t j = first_tap(desc, t); j < desc->taps; j++) {
                sum += (double) weight[c * desc->taps + j] * x[(row - (desc->taps - 1) + j) * desc->x_stride + c];
            }
            y[row * desc->y_stride + c] = (real) sum;
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(short_conv_backward_workspace_size)(pan_stream *stream, const pan_short_conv_desc *desc,
                                                        int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

static void input_gradient(const pan_short_conv_desc *desc, const real *weight, const real *dy, real *dx) {
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        int64_t later = desc->length - row % desc->length; /* positions from this one to the last */
        for (int64_t c = 0; c < desc->channels; c++) {
            double sum = 0.0;
            for (int64_t ahead = 0; ahead < later && ahead < desc->taps; ahead++) {
                sum +=
                    (double) weight[c * desc->taps + desc->taps - 1 - ahead] * dy[(row + ahead) * desc->y_stride + c];
            }
            dx[row * desc->x_stride + c] = (real) sum;
        }
    }
}

static void weight_gradient(const pan_short_conv_desc *desc, const real *x, const real *dy, real *dweight) {
    for (int64_t c = 0; c < desc->channels; c++) {
        for (int64_t j = 0; j < desc->taps; j++) {
            int64_t back = desc->taps - 1 - j;
            double sum = 0.0;
            for (int64_t row = 0; row < desc->batch * desc->length; row++) {
                if (row % desc->length >= back) {
                    sum += (double) dy[row * desc->y_stride + c] * x[(row - back) * desc->x_stride + c];
                }
            }
            dweight[c * desc->taps + j] = (real) (dweight[c * desc->taps + j] + sum);
        }
    }
}

static void bias_gradient(const pan_short_conv_desc *desc, const real *dy, real *dbias) {
    for (int64_t c = 0; c < desc->channels; c++) {
        double sum = 0.0;
        for (int64_t row = 0; row < desc->batch * desc->length; row++) {
            sum += dy[row * desc->y_stride + c];
        }
        dbias[c] = (real) (dbias[c] + sum);
    }
}

pan_status PAN_BODY(short_conv_backward)(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
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
