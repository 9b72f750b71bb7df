/* Cumulative log-sum-exp along one dimension. */
#include "real.h"

/* exp(a - b), and 1 where they are equal, infinities included. */
static double share(double a, double b) {
    return a == b ? 1.0 : exp(a - b);
}

pan_status PAN_BODY(cumulative_log_sum_exp_forward)(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                                    const void *x_, void *y_) {
    (void) stream;
    const real *x = x_;
    real *y = y_;
    for (int64_t o = 0; o < desc->outer; o++) {
        for (int64_t i = 0; i < desc->inner; i++) {
            double largest = -INFINITY, sum = 0.0;
            for (int64_t k = 0; k < desc->count; k++) {
                const int64_t at = (o * desc->count + k) * desc->inner + i;
                if (x[at] > largest) {
                    sum *= share(largest, x[at]);
                    largest = x[at];
                }
                sum += share(x[at], largest);
                y[at] = (real) (largest + log(sum));
            }
        }
    }
    return PAN_OK;
}

/* The gradient is a sum over all later entries, formed anew for each: the fast bodies carry it along. */
pan_status PAN_BODY(cumulative_log_sum_exp_backward)(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                                     const void *x_, const void *y_, const void *dy_, void *dx_) {
    (void) stream;
    const real *x = x_, *y = y_, *dy = dy_;
    real *dx = dx_;
    for (int64_t o = 0; o < desc->outer; o++) {
        for (int64_t i = 0; i < desc->inner; i++) {
            for (int64_t j = 0; j < desc->count; j++) { /* later entries of dy, which may be dx, are still there */
                const int64_t at = (o * desc->count + j) * desc->inner + i;
                double sum = 0.0;
                for (int64_t k = j; k < desc->count && x[at] != -INFINITY; k++) {
                    const int64_t later = (o * desc->count + k) * desc->inner + i;
                    sum += dy[later] * exp((double) x[at] - y[later]);
                }
                dx[at] = (real) sum;
            }
        }
    }
    return PAN_OK;
}
