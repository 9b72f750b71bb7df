/* How often a position's token has occurred before it. */
#include "real.h"

pan_status PAN_BODY(earlier_occurrences_workspace_size)(pan_stream *stream, const pan_earlier_occurrences_desc *desc,
                                                        int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

pan_status PAN_BODY(earlier_occurrences)(pan_stream *stream, const pan_earlier_occurrences_desc *desc,
                                         const int32_t *ids, void *y_, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    real *y = y_;
    for (int64_t b = 0; b < desc->batch; b++) {
        const int32_t *row = ids + b * desc->ids_stride;
        for (int64_t i = 0; i < desc->count; i++) {
            const int64_t t = desc->length - desc->count + i;
            int64_t earlier = 0;
            for (int64_t s = 0; s < t; s++) {
                earlier += row[s] == row[t];
            }
            y[b * desc->count + i] = (real) earlier;
        }
    }
    return PAN_OK;
}
