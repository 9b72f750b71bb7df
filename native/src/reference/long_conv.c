/* Long convolution, by its formula. A prepared filter is its taps as rows of a dense (channels, taps) array. */
#include "../core/long_conv_plan.h"
#include "real.h"

pan_status PAN_BODY(long_conv_spectrum_size)(pan_stream *stream, const pan_long_conv_plan *plan, int64_t *bytes) {
    (void) stream;
    *bytes = plan->desc.channels * plan->taps * (int64_t) sizeof(real);
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_prepare_workspace_size)(pan_stream *stream, const pan_long_conv_plan *plan,
                                                      int64_t *bytes) {
    (void) stream;
    (void) plan;
    *bytes = 0;
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_prepare)(pan_stream *stream, const pan_long_conv_plan *plan, const float *h,
                                       void *spectrum, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    real *taps = spectrum;
    for (int64_t c = 0; c < plan->desc.channels; c++) {
        for (int64_t j = 0; j < plan->taps; j++) {
            taps[c * plan->taps + j] = REAL(h)[c * plan->desc.h_channel_stride + j * plan->desc.h_tap_stride];
        }
    }
    return PAN_OK;
}

/* What forward and backward read. */
typedef struct conv_inputs {
    const pan_long_conv_plan *plan;
    const real *h, *u, *pre, *post, *skip, *dy;
} conv_inputs;

static double gated_input(const conv_inputs *in, int64_t b, int64_t t, int64_t c) {
    const pan_long_conv_desc *desc = &in->plan->desc;
    const int64_t row = b * desc->length + t;
    const double gate = in->pre == NULL ? 1.0 : in->pre[row * desc->pre_stride + c];
    return gate * in->u[row * desc->u_stride + c];
}

static double gated_gradient(const conv_inputs *in, int64_t b, int64_t t, int64_t c) {
    const pan_long_conv_desc *desc = &in->plan->desc;
    const int64_t row = b * desc->length + t;
    const double gate = in->post == NULL ? 1.0 : in->post[row * desc->post_stride + c];
    return gate * in->dy[row * desc->y_stride + c];
}

static double convolved(const conv_inputs *in, int64_t b, int64_t t, int64_t c) {
    const real *h = in->h + c * in->plan->taps;
    double sum = 0.0;
    for (int64_t j = 0; j < in->plan->taps && j <= t; j++) {
        sum += h[j] * gated_input(in, b, t - j, c);
    }
    return in->skip == NULL ? sum : sum + in->skip[c] * gated_input(in, b, t, c);
}

static double correlated(const conv_inputs *in, int64_t b, int64_t s, int64_t c) {
    const real *h = in->h + c * in->plan->taps;
    double sum = 0.0;
    for (int64_t j = 0; j < in->plan->taps && s + j < in->plan->desc.length; j++) {
        sum += h[j] * gated_gradient(in, b, s + j, c);
    }
    return in->skip == NULL ? sum : sum + in->skip[c] * gated_gradient(in, b, s, c);
}

static double tap_gradient(const conv_inputs *in, int64_t c, int64_t j) {
    double sum = 0.0;
    for (int64_t b = 0; b < in->plan->desc.batch; b++) {
        for (int64_t t = j; t < in->plan->desc.length; t++) {
            sum += gated_gradient(in, b, t, c) * gated_input(in, b, t - j, c);
        }
    }
    return sum;
}

pan_status PAN_BODY(long_conv_forward_workspace_size)(pan_stream *stream, const pan_long_conv_plan *plan,
                                                      int64_t *bytes) {
    (void) stream;
    *bytes = plan->desc.length * (int64_t) sizeof(real);
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_forward)(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                       const void *u, const void *pre, const void *post, const float *skip, void *y_,
                                       void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    const pan_long_conv_desc *desc = &plan->desc;
    const conv_inputs in = {.plan = plan, .h = spectrum, .u = u, .pre = pre, .post = post, .skip = REAL(skip)};
    real *y = y_;
    real *column = workspace; /* because y may lie where u does */
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            for (int64_t t = 0; t < desc->length; t++) {
                const int64_t row = b * desc->length + t;
                const double gate = in.post == NULL ? 1.0 : in.post[row * desc->post_stride + c];
                column[t] = (real) (gate * convolved(&in, b, t, c));
            }
            for (int64_t t = 0; t < desc->length; t++) {
                y[(b * desc->length + t) * desc->y_stride + c] = column[t];
            }
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_backward_workspace_size)(pan_stream *stream, const pan_long_conv_plan *plan,
                                                       int64_t *bytes) {
    (void) stream;
    *bytes = plan->desc.length * (int64_t) sizeof(real);
    return PAN_OK;
}

static void parameter_gradients(const conv_inputs *in, real *dh, real *dskip) {
    const pan_long_conv_desc *desc = &in->plan->desc;
    for (int64_t c = 0; c < desc->channels; c++) {
        for (int64_t j = 0; dh != NULL && j < in->plan->taps; j++) {
            dh[c * desc->h_channel_stride + j * desc->h_tap_stride] += (real) tap_gradient(in, c, j);
        }
        if (dskip != NULL) {
            dskip[c] += (real) tap_gradient(in, c, 0);
        }
    }
}

pan_status PAN_BODY(long_conv_backward)(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                        const void *u, const void *pre, const void *post, const float *skip,
                                        const void *dy, void *du_, void *dpre_, void *dpost_, float *dh, float *dskip,
                                        void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    const pan_long_conv_desc *desc = &plan->desc;
    const conv_inputs in = {
        .plan = plan, .h = spectrum, .u = u, .pre = pre, .post = post, .skip = REAL(skip), .dy = dy};
    real *du = du_, *dpre = dpre_, *dpost = dpost_;
    real *column = workspace; /* because du may lie where dy does */
    parameter_gradients(&in, REAL_OUT(dh), REAL_OUT(dskip));
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            for (int64_t t = 0; t < desc->length; t++) {
                const int64_t row = b * desc->length + t;
                if (dpost != NULL) {
                    dpost[row * desc->post_stride + c] =
                        (real) (convolved(&in, b, t, c) * in.dy[row * desc->y_stride + c]);
                }
                column[t] = (real) correlated(&in, b, t, c);
            }
            for (int64_t t = 0; t < desc->length; t++) {
                const int64_t row = b * desc->length + t;
                const double dx = column[t];
                if (dpre != NULL) {
                    dpre[row * desc->pre_stride + c] = (real) (dx * in.u[row * desc->u_stride + c]);
                }
                if (du != NULL) {
                    const double gate = in.pre == NULL ? 1.0 : in.pre[row * desc->pre_stride + c];
                    du[row * desc->u_stride + c] = (real) (dx * gate);
                }
            }
        }
    }
    return PAN_OK;
}
