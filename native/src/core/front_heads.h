/* Checks of arrays that hold heads: those of attention, of linear attention and of rotary positions. */
#ifndef PAN_CORE_FRONT_HEADS_H
#define PAN_CORE_FRONT_HEADS_H

#include "front.h"

/* Sizes of an array of heads. Listed queries are rows without sequences, whose batch stride is not used. */
typedef struct head_sizes {
    int64_t batch;
    int64_t length;
    int64_t heads;
    int64_t dim;
    bool listed;
} head_sizes;

/* Heads of queries, and those of keys and values, each of which some heads of queries share. */
static inline pan_status pan_check_key_heads(const char *op, int64_t heads, int64_t kv_heads) {
    PAN_TRY(pan_check_size(op, "heads", heads));
    PAN_TRY(pan_check_size(op, "kv_heads", kv_heads));
    if (heads % kv_heads != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: kv_heads is %lld; expected a divisor of heads, which is %lld", op,
                        (long long) kv_heads, (long long) heads);
    }
    return PAN_OK;
}

static inline pan_status pan_check_layout(const char *op, const char *name, head_sizes sizes,
                                          const pan_head_layout *layout) {
    const int64_t size[] = {sizes.batch, sizes.length, sizes.heads, sizes.dim};
    const int64_t stride[] = {layout->batch_stride, layout->length_stride, layout->head_stride, 1};
    for (int i = sizes.listed ? 1 : 0; i < 3; i++) {
        PAN_TRY(pan_check_size(op, name, stride[i]));
    }
    if (!pan_strides_nest(4, size, stride)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: with the layout of %s two entries share an element", op, name);
    }
    return PAN_OK;
}

static inline int64_t pan_layout_bytes(head_sizes sizes, const pan_head_layout *layout, int64_t element) {
    int64_t batch = pan_product(sizes.batch - 1, layout->batch_stride, 1);
    int64_t length = pan_product(sizes.length - 1, layout->length_stride, 1);
    int64_t head = pan_product(sizes.heads - 1, layout->head_stride, 1);
    int64_t last;
    if (batch < 0 || length < 0 || head < 0 || __builtin_add_overflow(batch, length, &last) ||
        __builtin_add_overflow(last, head, &last) || __builtin_add_overflow(last, sizes.dim, &last)) {
        return -1;
    }
    return pan_product(last, element, 1);
}

/* Where the heads of a position lie together, positions are rows and the array may be a column range of a packed one. */
static inline pan_array pan_head_array(pan_dtype dtype, const char *name, const void *address, head_sizes sizes,
                                       const pan_head_layout *layout, int32_t flags) {
    int64_t element = pan_element_bytes(dtype);
    int64_t row = pan_extent(sizes.heads, layout->head_stride, sizes.dim, 1);
    bool in_rows =
        row > 0 && row <= layout->length_stride && (sizes.listed || layout->batch_stride % layout->length_stride == 0);
    return (pan_array){.name = name,
                       .address = address,
                       .bytes = pan_layout_bytes(sizes, layout, element),
                       .flags = flags,
                       .stride = in_rows ? layout->length_stride * element : 0,
                       .row = in_rows ? row * element : 0};
}

#endif
