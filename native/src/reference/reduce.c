/* Reductions over one dimension. */
#include "real.h"

pan_status PAN_BODY(reduce_forward_workspace_size)(pan_stream *stream, const pan_reduce_desc *desc, int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

/* The first largest of `count` entries, `stride` apart; the first NaN if there is one. */
static int64_t first_largest(const real *x, int64_t count, int64_t stride) {
    int64_t best = 0;
    for (int64_t k = 1; k < count; k++) {
        double value = x[k * stride], largest = x[best * stride];
        if (value > largest || (isnan(value) && !isnan(largest))) {
            best = k;
        }
    }
    return best;
}

static double term(pan_reduction kind, double x) {
    switch (kind) {
    case PAN_REDUCE_SUM_OF_SQUARES: return x * x;
    case PAN_REDUCE_SUM_OF_MAGNITUDES: return fabs(x);
    case PAN_REDUCE_NONFINITE: return isfinite(x) ? 0.0 : 1.0;
    default: return x;
    }
}

pan_status PAN_BODY(reduce_forward)(pan_stream *stream, const pan_reduce_desc *desc, const void *x_, void *y_,
                                    void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    const real *x = x_;
    real *y = y_;
    double divisor = desc->kind == PAN_REDUCE_MEAN ? (double) desc->count : 1.0;
    for (int64_t o = 0; o < desc->outer; o++) {
        for (int64_t i = 0; i < desc->inner; i++) {
            const real *first = x + o * desc->count * desc->inner + i;
            if (desc->kind == PAN_REDUCE_MAX) {
                y[o * desc->inner + i] = first[first_largest(first, desc->count, desc->inner) * desc->inner];
                continue;
            }
            double sum = 0.0;
            for (int64_t k = 0; k < desc->count; k++) {
                sum += term(desc->kind, first[k * desc->inner]);
            }
            y[o * desc->inner + i] = (real) (sum / divisor);
        }
    }
    return PAN_OK;
}

static void maximum_gradient(const pan_reduce_desc *desc, const real *x, const real *dy, real *dx) {
    for (int64_t o = 0; o < desc->outer; o++) {
        for (int64_t i = 0; i < desc->inner; i++) {
            int64_t first = o * desc->count * desc->inner + i;
            int64_t largest = first_largest(x + first, desc->count, desc->inner);
            for (int64_t k = 0; k < desc->count; k++) {
                dx[first + k * desc->inner] = k == largest ? dy[o * desc->inner + i] : 0;
            }
        }
    }
}

pan_status PAN_BODY(reduce_backward)(pan_stream *stream, const pan_reduce_desc *desc, const void *x_, const void *dy_,
                                     void *dx_) {
    (void) stream;
    const real *x = x_, *dy = dy_;
    real *dx = dx_;
    if (desc->kind == PAN_REDUCE_MAX) {
        maximum_gradient(desc, x, dy, dx);
        return PAN_OK;
    }
    for (int64_t o = 0; o < desc->outer; o++) {
        for (int64_t k = 0; k < desc->count; k++) {
            for (int64_t i = 0; i < desc->inner; i++) {
                int64_t at = (o * desc->count + k) * desc->inner + i;
                double gradient = dy[o * desc->inner + i];
                if (desc->kind == PAN_REDUCE_MEAN) {
                    gradient /= (double) desc->count;
                } else if (desc->kind == PAN_REDUCE_SUM_OF_SQUARES) {
                    gradient *= 2.0 * x[at];
                } else if (desc->kind == PAN_REDUCE_SUM_OF_MAGNITUDES) {
                    gradient *= x[at] > 0.0 ? 1.0 : x[at] < 0.0 ? -1.0 : x[at];
                }
                dx[at] = (real) gradient;
            }
        }
    }
    return PAN_OK;
}
