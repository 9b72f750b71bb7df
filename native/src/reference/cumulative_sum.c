/* Cumulative sums along one dimension. */
#include "real.h"

pan_status PAN_BODY(cumulative_sum)(pan_stream *stream, const pan_cumulative_sum_desc *desc, const void *x_, void *y_) {
    (void) stream;
    const real *x = x_;
    real *y = y_;
    for (int64_t o = 0; o < desc->outer; o++) {
        for (int64_t i = 0; i < desc->inner; i++) {
            double sum = 0.0;
            for (int64_t step = 0; step < desc->count; step++) {
                int64_t k = desc->reverse ? desc->count - 1 - step : step;
                int64_t at = (o * desc->count + k) * desc->inner + i;
                sum += x[at];
                y[at] = (real) sum;
            }
        }
    }
    return PAN_OK;
}
