/* What implicit filters are made of: features of the position, sine layers, decay. */
#include "real.h"

static const double PI = 3.14159265358979323846;
static const double LOWEST_FREQUENCY = 1e-4;

static double band_frequency(int64_t band, int64_t bands) {
    if (bands == 1) {
        return LOWEST_FREQUENCY;
    }
    double last = (double) (bands - 1);
    return LOWEST_FREQUENCY + (double) band / last * (last - LOWEST_FREQUENCY);
}

pan_status PAN_BODY(positional_features)(pan_stream *stream, const pan_positional_features_desc *desc, float *z_) {
    (void) stream;
    for (int64_t t = 0; t < desc->length; t++) {
        real *z = REAL_OUT(z_) + t * (2 * desc->bands + 1);
        double angle = 2.0 * PI * (double) t / (double) desc->length;
        z[0] = (real) (desc->length == 1 ? 0.0 : (double) t / (double) (desc->length - 1));
        for (int64_t k = 0; k < desc->bands; k++) {
            double phase = band_frequency(k, desc->bands) * angle;
            z[1 + k] = (real) cos(phase);
            z[1 + desc->bands + k] = (real) -sin(phase);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(sine_layer_forward)(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x_,
                                        const float *frequency_, void *y_) {
    (void) stream;
    const real *x = x_, *frequency = REAL(frequency_);
    real *y = y_;
    for (int64_t r = 0; r < desc->rows; r++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            y[r * desc->channels + c] = (real) sin((double) frequency[c] * x[r * desc->channels + c]);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(sine_layer_backward_workspace_size)(pan_stream *stream, const pan_sine_layer_desc *desc,
                                                        int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

pan_status PAN_BODY(sine_layer_backward)(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x_,
                                         const float *frequency_, const void *dy_, void *dx_, float *dfrequency_,
                                         void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    const real *x = x_, *frequency = REAL(frequency_), *dy = dy_;
    real *dx = dx_, *dfrequency = REAL_OUT(dfrequency_);
    for (int64_t c = 0; c < desc->channels; c++) {
        double sum = 0.0;
        for (int64_t r = 0; r < desc->rows; r++) {
            int64_t i = r * desc->channels + c;
            double gradient = cos((double) frequency[c] * x[i]) * dy[i];
            sum += x[i] * gradient;
            if (dx != NULL) {
                dx[i] = (real) (frequency[c] * gradient);
            }
        }
        if (dfrequency != NULL) {
            dfrequency[c] = (real) (dfrequency[c] + sum);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(exponential_modulation)(pan_stream *stream, const pan_exponential_modulation_desc *desc,
                                            const void *x_, const float *rate_, void *y_) {
    (void) stream;
    const real *x = x_, *rate = REAL(rate_);
    real *y = y_;
    for (int64_t t = 0; t < desc->length; t++) {
        double time = (double) t * desc->time_step;
        for (int64_t c = 0; c < desc->channels; c++) {
            double window = exp(-time * fabs((double) rate[c])) + desc->shift;
            y[t * desc->channels + c] = (real) (x[t * desc->channels + c] * window);
        }
    }
    return PAN_OK;
}
