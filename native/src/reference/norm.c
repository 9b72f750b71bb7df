/* Layer and RMS normalisation, fused with the residual addition. */
#include "real.h"

static double row_mean(const real *row, int64_t channels) {
    double sum = 0.0;
    for (int64_t c = 0; c < channels; c++) {
        sum += row[c];
    }
    return sum / (double) channels;
}

/* mean((row - centre)^2) */
static double mean_square(const real *row, double centre, int64_t channels) {
    double sum = 0.0;
    for (int64_t c = 0; c < channels; c++) {
        sum += (row[c] - centre) * (row[c] - centre);
    }
    return sum / (double) channels;
}

static void add_residual(const pan_norm_desc *desc, const real *x, const real *residual, real *sum) {
    for (int64_t r = 0; r < desc->rows; r++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            int64_t i = r * desc->stride + c;
            sum[i] = (real) ((double) x[i] + residual[i]);
        }
    }
}

pan_status PAN_BODY(norm_forward)(pan_stream *stream, const pan_norm_desc *desc, const void *x_, const void *residual,
                                  const float *weight_, const float *bias_, void *sum, void *y_, float *mean_,
                                  float *rstd_) {
    (void) stream;
    const real *x = x_, *weight = REAL(weight_), *bias = REAL(bias_);
    real *y = y_, *mean = REAL_OUT(mean_), *rstd = REAL_OUT(rstd_);
    if (residual != NULL) {
        add_residual(desc, x, residual, sum);
        x = sum;
    }
    for (int64_t r = 0; r < desc->rows; r++) {
        const real *row = x + r * desc->stride;
        double centre = desc->kind == PAN_NORM_LAYER ? row_mean(row, desc->channels) : 0.0;
        double scale = 1.0 / sqrt(mean_square(row, centre, desc->channels) + (double) desc->epsilon);
        for (int64_t c = 0; c < desc->channels; c++) {
            double shift = bias == NULL ? 0.0 : bias[c];
            y[r * desc->stride + c] = (real) ((row[c] - centre) * scale * weight[c] + shift);
        }
        rstd[r] = (real) scale;
        if (mean != NULL) {
            mean[r] = (real) centre;
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(norm_backward_workspace_size)(pan_stream *stream, const pan_norm_desc *desc, int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

/* What backward reads; `mean` is NULL for RMS. */
typedef struct norm_inputs {
    const real *sum, *weight, *mean, *rstd, *dsum, *dy;
} norm_inputs;

static double normalised(const pan_norm_desc *desc, const norm_inputs *in, int64_t r, int64_t c) {
    double centre = in->mean == NULL ? 0.0 : in->mean[r];
    return (in->sum[r * desc->stride + c] - centre) * in->rstd[r];
}

static void parameter_gradients(const pan_norm_desc *desc, const norm_inputs *in, real *dweight, real *dbias) {
    for (int64_t c = 0; c < desc->channels; c++) {
        double weight_sum = 0.0, bias_sum = 0.0;
        for (int64_t r = 0; r < desc->rows; r++) {
            double dy = in->dy[r * desc->stride + c];
            weight_sum += dy * normalised(desc, in, r, c);
            bias_sum += dy;
        }
        if (dweight != NULL) {
            dweight[c] += (real) weight_sum;
        }
        if (dbias != NULL) {
            dbias[c] += (real) bias_sum;
        }
    }
}

static void input_gradient(const pan_norm_desc *desc, const norm_inputs *in, real *dx) {
    double channels = (double) desc->channels;
    for (int64_t r = 0; r < desc->rows; r++) {
        double g_mean = 0.0, gn_mean = 0.0;
        for (int64_t c = 0; c < desc->channels; c++) {
            double g = (double) in->dy[r * desc->stride + c] * in->weight[c];
            g_mean += g / channels;
            gn_mean += g * normalised(desc, in, r, c) / channels;
        }
        if (desc->kind == PAN_NORM_RMS) {
            g_mean = 0.0;
        }
        for (int64_t c = 0; c < desc->channels; c++) {
            int64_t i = r * desc->stride + c;
            double g = (double) in->dy[i] * in->weight[c];
            double through = in->dsum == NULL ? 0.0 : in->dsum[i];
            dx[i] = (real) (through + in->rstd[r] * (g - g_mean - normalised(desc, in, r, c) * gn_mean));
        }
    }
}

pan_status PAN_BODY(norm_backward)(pan_stream *stream, const pan_norm_desc *desc, const void *sum, const float *weight,
                                   const float *mean, const float *rstd, const void *dsum, const void *dy, void *dx,
                                   float *dweight, float *dbias, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    norm_inputs in = {
        .sum = sum, .weight = REAL(weight), .mean = REAL(mean), .rstd = REAL(rstd), .dsum = dsum, .dy = dy};
    /* First, because dx may lie where dy does. */
    parameter_gradients(desc, &in, REAL_OUT(dweight), REAL_OUT(dbias));
    if (dx != NULL) {
        input_gradient(desc, &in, dx);
    }
    return PAN_OK;
}
