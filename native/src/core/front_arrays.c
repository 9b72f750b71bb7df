/* Public functions of the products, copies and sums that take arrays of any kind. */
#include "front.h"

/* Bytes from the first to past the last element; -1 on overflow. */
static int64_t strided_bytes(const pan_strided_copy_desc *desc, const int64_t *stride, int64_t element) {
    int64_t last = 0;
    for (int i = 0; i < desc->rank; i++) {
        int64_t step = pan_product(desc->shape[i] - 1, stride[i], 1);
        if (step < 0 || __builtin_add_overflow(last, step, &last)) {
            return -1;
        }
    }
    return __builtin_add_overflow(last, 1, &last) ? -1 : pan_product(last, element, 1);
}

static pan_status check_strided_copy(const char *op, const pan_stream *stream, const pan_strided_copy_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_kind(op, "accumulate", desc->accumulate, 2));
    if (desc->rank < 1 || desc->rank > PAN_MAX_RANK) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: rank is %d; expected 1 to %d", op, desc->rank, PAN_MAX_RANK);
    }
    int64_t count = 1;
    for (int i = 0; i < desc->rank; i++) {
        PAN_TRY(pan_check_size(op, "shape", desc->shape[i]));
        PAN_TRY(pan_check_stride(op, "source_stride", desc->source_stride[i], 0));
        PAN_TRY(pan_check_stride(op, "target_stride", desc->target_stride[i], desc->shape[i] > 1));
        count = pan_product(count, desc->shape[i], 1);
        if (count < 0 || pan_product(count, 8, 1) < 0) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: the number of elements overflows", op);
        }
    }
    if (!pan_strides_nest(desc->rank, desc->shape, desc->target_stride)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: with this target_stride two entries share an element", op);
    }
    return PAN_OK;
}

pan_status pan_strided_copy(pan_stream *stream, const pan_strided_copy_desc *desc, const void *source, void *target) {
    PAN_FRONT(strided_copy)
    PAN_TRY(check_strided_copy(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    const pan_array arrays[] = {
        PAN_INPUT(source, strided_bytes(desc, desc->source_stride, element)),
        PAN_OUTPUT(target, strided_bytes(desc, desc->target_stride, element)),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->strided_copy(stream, desc, source, target);
}
