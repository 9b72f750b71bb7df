/* Mixing every position with the one before it. */
#include "real.h"

pan_status PAN_BODY(token_shift_forward)(pan_stream *stream, const pan_token_shift_desc *desc, const void *x_,
                                         const float *mix_, const void *previous_, void *y_) {
    (void) stream;
    const real *x = x_, *mix = REAL(mix_), *previous = previous_;
    real *y = y_;
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        bool first = row % desc->length == 0;
        for (int64_t c = 0; c < desc->channels; c++) {
            double sum = (double) mix[c] * x[row * desc->channels + c];
            if (!first || previous != NULL) {
                double before =
                    first ? previous[row / desc->length * desc->channels + c] : x[(row - 1) * desc->channels + c];
                sum += (1.0 - mix[c]) * before;
            }
            y[row * desc->channels + c] = (real) sum;
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(token_shift_backward_workspace_size)(pan_stream *stream, const pan_token_shift_desc *desc,
                                                         int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

pan_status PAN_BODY(token_shift_backward)(pan_stream *stream, const pan_token_shift_desc *desc, const void *x_,
                                          const float *mix_, const void *dy_, void *dx_, float *dmix, void *workspace,
                                          int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    const real *x = x_, *mix = REAL(mix_), *dy = dy_;
    real *dx = dx_;
    for (int64_t c = 0; c < desc->channels; c++) {
        double mix_sum = 0.0;
        for (int64_t row = 0; row < desc->batch * desc->length; row++) {
            int64_t at = row * desc->channels + c;
            bool first = row % desc->length == 0, last = row % desc->length == desc->length - 1;
            mix_sum += dy[at] * (first ? (double) x[at] : (double) x[at] - x[at - desc->channels]);
            if (dx != NULL) {
                double later = last ? 0.0 : (1.0 - mix[c]) * dy[at + desc->channels];
                dx[at] = (real) ((double) mix[c] * dy[at] + later);
            }
        }
        add_to(dmix, c, mix_sum);
    }
    return PAN_OK;
}
