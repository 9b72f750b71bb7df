/* Dropout and drop path from a counter. */
#include "real.h"

pan_status PAN_BODY(dropout)(pan_stream *stream, const pan_dropout_desc *desc, const pan_random_state *random,
                             const void *x_, void *y_) {
    (void) stream;
    const real *x = x_;
    real *y = y_;
    uint32_t threshold = pan_random_threshold(desc->probability);
    uint32_t path_threshold = pan_random_threshold(desc->path_probability);
    double scale = 1.0 / (1.0 - (double) desc->probability);
    double path_scale = 1.0 / (1.0 - (double) desc->path_probability);
    for (int64_t r = 0; r < desc->rows; r++) {
        uint64_t example = (uint64_t) (r / desc->rows_per_example);
        bool keep_path = pan_random_path_bits(random, desc->key, example) >= path_threshold;
        uint64_t row_state = pan_random_row(random, desc->key, (uint64_t) r);
        for (int64_t c = 0; c < desc->channels; c++) {
            bool keep = keep_path && pan_random_bits(row_state, (uint32_t) c) >= threshold;
            double factor = keep ? scale * path_scale : 0.0;
            y[r * desc->channels + c] = (real) (x[r * desc->channels + c] * factor);
        }
    }
    return PAN_OK;
}
