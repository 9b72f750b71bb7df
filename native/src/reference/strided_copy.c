/* Copies between arrays of any strides. */
#include "real.h"

pan_status PAN_BODY(strided_copy)(pan_stream *stream, const pan_strided_copy_desc *desc, const void *source_,
                                  void *target_) {
    (void) stream;
    const real *source = source_;
    real *target = target_;
    int64_t count = 1;
    for (int d = 0; d < desc->rank; d++) {
        count *= desc->shape[d];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t from = 0, to = 0, index = i;
        for (int d = desc->rank - 1; d >= 0; d--) {
            from += index % desc->shape[d] * desc->source_stride[d];
            to += index % desc->shape[d] * desc->target_stride[d];
            index /= desc->shape[d];
        }
        target[to] = desc->accumulate ? target[to] + source[from] : source[from];
    }
    return PAN_OK;
}
