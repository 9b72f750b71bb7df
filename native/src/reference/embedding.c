/* Token and position embedding. */
#include "real.h"

pan_status PAN_BODY(embedding_forward)(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                       const float *table_, const float *position_table_, void *y_) {
    (void) stream;
    const real *table = REAL(table_), *position_table = REAL(position_table_);
    real *y = y_;
    for (int64_t row = 0; row < desc->batch * desc->length; row++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            double sum = table[ids[row] * desc->channels + c];
            if (position_table != NULL) {
                sum += position_table[row % desc->length * desc->channels + c];
            }
            y[row * desc->channels + c] = (real) sum;
        }
    }
    return PAN_OK;
}

static bool occurred_before(const int32_t *ids, int64_t row) {
    for (int64_t earlier = 0; earlier < row; earlier++) {
        if (ids[earlier] == ids[row]) {
            return true;
        }
    }
    return false;
}

/* Each token's whole sum is formed where the token first occurs. */
static void table_gradient(const pan_embedding_desc *desc, const int32_t *ids, const real *dy, real *dtable) {
    int64_t rows = desc->batch * desc->length;
    for (int64_t first = 0; first < rows; first++) {
        if (occurred_before(ids, first)) {
            continue;
        }
        for (int64_t c = 0; c < desc->channels; c++) {
            double sum = 0.0;
            for (int64_t row = first; row < rows; row++) {
                if (ids[row] == ids[first]) {
                    sum += dy[row * desc->channels + c];
                }
            }
            dtable[ids[first] * desc->channels + c] += (real) sum;
        }
    }
}

static void position_gradient(const pan_embedding_desc *desc, const real *dy, real *dposition_table) {
    for (int64_t t = 0; t < desc->length; t++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            double sum = 0.0;
            for (int64_t b = 0; b < desc->batch; b++) {
                sum += dy[(b * desc->length + t) * desc->channels + c];
            }
            dposition_table[t * desc->channels + c] += (real) sum;
        }
    }
}

pan_status PAN_BODY(embedding_backward)(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                        const void *dy, float *dtable, float *dposition_table) {
    (void) stream;
    if (dtable != NULL) {
        table_gradient(desc, ids, dy, REAL_OUT(dtable));
    }
    if (dposition_table != NULL) {
        position_gradient(desc, dy, REAL_OUT(dposition_table));
    }
    return PAN_OK;
}
