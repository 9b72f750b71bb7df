/* The k largest elements of every row. */
#include "real.h"

pan_status PAN_BODY(top_k_mask)(pan_stream *stream, const pan_top_k_mask_desc *desc, const void *x_, void *y_) {
    (void) stream;
    for (int64_t r = 0; r < desc->rows; r++) {
        const real *x = (const real *) x_ + r * desc->columns;
        real *y = (real *) y_ + r * desc->columns;
        for (int64_t c = 0; c < desc->columns; c++) {
            int64_t before = 0;
            for (int64_t j = 0; j < desc->columns; j++) {
                before += x[j] > x[c] || (x[j] == x[c] && j < c);
            }
            y[c] = x[c] > -INFINITY && before < desc->k ? 1 : 0;
        }
    }
    return PAN_OK;
}
