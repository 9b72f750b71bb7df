/* The filter of a shift state space. */
#include "real.h"

/* Taps that can differ from 0. */
static int64_t used_taps(const pan_shift_ssm_desc *desc) {
    return desc->state_size < desc->length ? desc->state_size : desc->length;
}

pan_status PAN_BODY(shift_ssm_forward)(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b_,
                                       const float *c_, float *filter_) {
    (void) stream;
    for (int64_t h = 0; h < desc->channels; h++) {
        const real *b = REAL(b_) + h * desc->state_size, *c = REAL(c_) + h * desc->state_size;
        for (int64_t l = 0; l < desc->length; l++) {
            double sum = 0.0;
            for (int64_t n = 0; n + l < desc->state_size; n++) {
                sum += (double) b[n] * c[n + l];
            }
            REAL_OUT(filter_)[l * desc->channels + h] = (real) sum;
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(shift_ssm_backward)(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b_,
                                        const float *c_, const float *dfilter_, float *db, float *dc) {
    (void) stream;
    const real *dfilter = REAL(dfilter_);
    for (int64_t h = 0; h < desc->channels; h++) {
        for (int64_t n = 0; n < desc->state_size; n++) {
            const real *b = REAL(b_) + h * desc->state_size, *c = REAL(c_) + h * desc->state_size;
            double b_sum = 0.0, c_sum = 0.0;
            for (int64_t l = 0; l < used_taps(desc); l++) {
                b_sum += n + l < desc->state_size ? (double) dfilter[l * desc->channels + h] * c[n + l] : 0.0;
                c_sum += l <= n ? (double) dfilter[l * desc->channels + h] * b[n - l] : 0.0;
            }
            add_to(db, h * desc->state_size + n, b_sum);
            add_to(dc, h * desc->state_size + n, c_sum);
        }
    }
    return PAN_OK;
}
