/* Softmax of every row. */
#include "real.h"

/* The largest element, or NaN if there is one. */
static double row_maximum(const real *row, int64_t columns) {
    double maximum = row[0];
    for (int64_t c = 1; c < columns; c++) {
        if (row[c] > maximum || isnan(row[c])) {
            maximum = row[c];
        }
    }
    return maximum;
}

pan_status PAN_BODY(softmax_forward)(pan_stream *stream, const pan_softmax_desc *desc, const void *x_, void *y_) {
    (void) stream;
    for (int64_t r = 0; r < desc->rows; r++) {
        const real *x = (const real *) x_ + r * desc->columns;
        real *y = (real *) y_ + r * desc->columns;
        double maximum = row_maximum(x, desc->columns);
        double sum = 0.0;
        for (int64_t c = 0; c < desc->columns; c++) {
            sum += exp(x[c] - maximum);
        }
        for (int64_t c = 0; c < desc->columns; c++) {
            y[c] = (real) (exp(x[c] - maximum) / sum);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(softmax_backward)(pan_stream *stream, const pan_softmax_desc *desc, const void *y_, const void *dy_,
                                      void *dx_) {
    (void) stream;
    for (int64_t r = 0; r < desc->rows; r++) {
        const real *y = (const real *) y_ + r * desc->columns;
        const real *dy = (const real *) dy_ + r * desc->columns;
        real *dx = (real *) dx_ + r * desc->columns;
        double dot = 0.0;
        for (int64_t c = 0; c < desc->columns; c++) {
            dot += (double) dy[c] * y[c];
        }
        for (int64_t c = 0; c < desc->columns; c++) {
            dx[c] = (real) (y[c] * (dy[c] - dot));
        }
    }
    return PAN_OK;
}
