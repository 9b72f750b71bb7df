/* Checks of arguments, made once in front of the dispatch, so that op bodies can trust what they get. */
#ifndef PAN_CORE_CHECK_H
#define PAN_CORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "panthera.h"

/* An array argument: where it lies and what it may share memory with. */
typedef struct pan_array {
    const char *name;
    const void *address;
    int64_t bytes; /* extent; negative: the sizes overflow */
    int32_t flags;
    const char *may_alias[3]; /* outputs: names of the arrays it may coincide with; NULL: none */
    int64_t stride;           /* bytes between rows where the array may be a column range of a packed one; else 0 */
    int64_t row;              /* bytes of a row, where stride is not 0 */
    int64_t alignment;        /* of the address; 0: that of the other arrays of the call */
} pan_array;

enum {
    PAN_ARRAY_INPUT = 0,
    PAN_ARRAY_OUTPUT = 1,
    PAN_ARRAY_OPTIONAL = 2, /* may be NULL */
    PAN_ARRAY_WORKSPACE = 4 /* aligned to PAN_ALIGNMENT */
};

/* Bytes spanned by `rows` rows of `columns` elements of `element` bytes, `stride` elements apart; -1 on overflow. */
int64_t pan_extent(int64_t rows, int64_t stride, int64_t columns, int64_t element);

/* a * b * c of sizes >= 0, or -1 on overflow. */
int64_t pan_product(int64_t a, int64_t b, int64_t c);

/* Bytes of an element of a checked dtype. */
int64_t pan_element_bytes(pan_dtype dtype);

/* Bytes of what the header calls f32 on this stream's backend. */
int64_t pan_real_bytes(const pan_stream *stream);

/* Stream and descriptor present, struct_size right, dtype one that the stream's backend computes with. */
pan_status pan_check_desc(const char *op, const pan_stream *stream, const void *desc, uint32_t expected_size,
                          pan_dtype dtype);

/* A field kept for later versions: 0. */
pan_status pan_check_reserved(const char *op, int32_t value);

/* A size in [1, 2^40]. */
pan_status pan_check_size(const char *op, const char *name, int64_t value);

/* A size whose indices are stored as int32: in [1, 2^31 - 1]. */
pan_status pan_check_int32_size(const char *op, const char *name, int64_t value);

/* An array of rows * stride elements that an address space can hold, so that sizes derived from its own do not
 * overflow. */
pan_status pan_check_extent(const char *op, const char *name, int64_t rows, int64_t stride);

/* A row stride in [columns, 2^40]. */
pan_status pan_check_stride(const char *op, const char *name, int64_t stride, int64_t columns);

/* Whether no two index tuples of an array with these sizes share an element; strides of 0 (broadcasts) are skipped.
 * Sizes and strides are checked ones, up to 2^40; their products may overflow. */
bool pan_strides_nest(int rank, const int64_t *sizes, const int64_t *strides);

/* A probability in [0, 1). */
pan_status pan_check_probability(const char *op, const char *name, float value);

/* Presence, alignment, overflow and overlap of all arrays of a call. */
pan_status pan_check_arrays(const char *op, const pan_array *arrays, size_t count, int64_t alignment);

/* A workspace of at least `needed` bytes. */
pan_status pan_check_workspace(const char *op, const void *workspace, int64_t bytes, int64_t needed);

#endif
