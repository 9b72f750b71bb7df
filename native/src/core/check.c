#include "check.h"

#include <string.h>

#include "backend.h"
#include "status.h"

enum { LARGEST_SIZE_LOG2 = 40, LARGEST_ARRAY_LOG2 = 44 };
static const int64_t LARGEST_SIZE = INT64_C(1) << LARGEST_SIZE_LOG2;
static const int64_t LARGEST_ARRAY = INT64_C(1) << LARGEST_ARRAY_LOG2;

int64_t pan_product(int64_t a, int64_t b, int64_t c) {
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product)) {
        return -1;
    }
    return product;
}

int64_t pan_extent(int64_t rows, int64_t stride, int64_t columns, int64_t element) {
    int64_t last_row = pan_product(rows - 1, stride, 1);
    int64_t elements;
    if (last_row < 0 || __builtin_add_overflow(last_row, columns, &elements)) {
        return -1;
    }
    return pan_product(elements, element, 1);
}

int64_t pan_element_bytes(pan_dtype dtype) {
    return dtype == PAN_F64 ? 8 : dtype == PAN_BF16 ? 2 : 4;
}

int64_t pan_real_bytes(const pan_stream *stream) {
    return stream->device->info.backend == PAN_BACKEND_REFERENCE_F64 ? 8 : 4;
}

pan_status pan_check_desc(const char *op, const pan_stream *stream, const void *desc, uint32_t expected_size,
                          pan_dtype dtype) {
    uint32_t struct_size = *(const uint32_t *) desc;
    if (struct_size != expected_size) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: desc.struct_size is %u; this library (ABI %d) expects %u", op,
                        struct_size, PAN_ABI_VERSION, expected_size);
    }
    if (dtype < PAN_F32 || dtype > PAN_F64) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: desc.dtype is %d; expected PAN_F32 (0), PAN_BF16 (1) or PAN_F64 (2)",
                        op, dtype);
    }
    pan_dtype computed = stream->device->info.backend == PAN_BACKEND_REFERENCE_F64 ? PAN_F64 : PAN_F32;
    if (dtype != computed) {
        return pan_fail(PAN_UNSUPPORTED, "%s: device %s computes in %s only", op, stream->device->info.name,
                        computed == PAN_F64 ? "f64" : "f32");
    }
    return PAN_OK;
}

pan_status pan_check_reserved(const char *op, int32_t value) {
    if (value != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: reserved is %d; expected 0", op, value);
    }
    return PAN_OK;
}

pan_status pan_check_size(const char *op, const char *name, int64_t value) {
    if (value < 1 || value > LARGEST_SIZE) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is %lld; expected 1 to 2^%d", op, name, (long long) value,
                        LARGEST_SIZE_LOG2);
    }
    return PAN_OK;
}

pan_status pan_check_int32_size(const char *op, const char *name, int64_t value) {
    if (value < 1 || value > INT32_MAX) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is %lld; expected 1 to 2^31 - 1", op, name, (long long) value);
    }
    return PAN_OK;
}

pan_status pan_check_extent(const char *op, const char *name, int64_t rows, int64_t stride) {
    int64_t elements = pan_product(rows, stride, 1);
    if (elements < 0 || elements > LARGEST_ARRAY) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of %s overflows: %lld rows, %lld elements apart", op, name,
                        (long long) rows, (long long) stride);
    }
    return PAN_OK;
}

pan_status pan_check_stride(const char *op, const char *name, int64_t stride, int64_t columns) {
    if (stride < columns || stride > LARGEST_SIZE) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is %lld; expected %lld (the row's extent) to 2^%d", op, name,
                        (long long) stride, (long long) columns, LARGEST_SIZE_LOG2);
    }
    return PAN_OK;
}

pan_status pan_check_probability(const char *op, const char *name, float value) {
    if (!(value >= 0.0f && value < 1.0f)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is %g; expected 0 <= p < 1", op, name, (double) value);
    }
    return PAN_OK;
}

bool pan_strides_nest(int rank, const int64_t *sizes, const int64_t *strides) {
    int64_t extent = 1;
    uint32_t placed = 0;
    for (int step = 0; step < rank; step++) {
        int inner = -1;
        for (int i = 0; i < rank; i++) {
            if (!(placed >> i & 1) && (inner < 0 || strides[i] < strides[inner])) {
                inner = i;
            }
        }
        placed |= 1u << inner;
        if (strides[inner] == 0 || sizes[inner] == 1) {
            continue;
        }
        if (strides[inner] < extent) {
            return false;
        }
        int64_t step = pan_product(sizes[inner] - 1, strides[inner], 1);
        if (step < 0 || __builtin_add_overflow(extent, step, &extent)) {
            extent = INT64_MAX; /* longer than any stride */
        }
    }
    return true;
}

/* Two column ranges of one packed array have the same row stride and meet nowhere in a row. */
static bool interleave(const pan_array *a, const pan_array *b) {
    if (a->stride == 0 || a->stride != b->stride) {
        return false;
    }
    uintptr_t stride = (uintptr_t) a->stride;
    uintptr_t a_column = (uintptr_t) a->address % stride;
    uintptr_t b_column = (uintptr_t) b->address % stride;
    uintptr_t gap = (b_column + stride - a_column) % stride;
    return gap >= (uintptr_t) a->row && stride - gap >= (uintptr_t) b->row;
}

static bool overlap(const pan_array *a, const pan_array *b) {
    uintptr_t a_start = (uintptr_t) a->address;
    uintptr_t b_start = (uintptr_t) b->address;
    return a_start < b_start + (uintptr_t) b->bytes && b_start < a_start + (uintptr_t) a->bytes && !interleave(a, b);
}

/* By name and not by address: another array may lie there too, say a broadcast one. */
static bool alias_allowed(const pan_array *output, const pan_array *other) {
    if (output->address != other->address) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (output->may_alias[i] != NULL && strcmp(output->may_alias[i], other->name) == 0) {
            return true;
        }
    }
    return false;
}

static pan_status check_array(const char *op, const pan_array *array, int64_t alignment) {
    if (array->bytes < 0 || (uintptr_t) array->address > UINTPTR_MAX - (uintptr_t) array->bytes) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of %s overflows", op, array->name);
    }
    if (array->address == NULL) {
        return array->flags & PAN_ARRAY_OPTIONAL ? PAN_OK
                                                 : pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is NULL; expected %lld bytes",
                                                            op, array->name, (long long) array->bytes);
    }
    int64_t needed = array->flags & PAN_ARRAY_WORKSPACE ? PAN_ALIGNMENT
                     : array->alignment != 0            ? array->alignment
                                                        : alignment;
    if ((uintptr_t) array->address % (uintptr_t) needed != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is at address %p; expected a multiple of %lld", op, array->name,
                        array->address, (long long) needed);
    }
    return PAN_OK;
}

pan_status pan_check_arrays(const char *op, const pan_array *arrays, size_t count, int64_t alignment) {
    for (size_t i = 0; i < count; i++) {
        PAN_TRY(check_array(op, &arrays[i], alignment));
    }
    for (size_t i = 0; i < count; i++) {
        const pan_array *output = &arrays[i];
        if (!(output->flags & (PAN_ARRAY_OUTPUT | PAN_ARRAY_WORKSPACE)) || output->address == NULL) {
            continue;
        }
        for (size_t j = 0; j < count; j++) {
            const pan_array *other = &arrays[j];
            if (j == i || other->address == NULL || !overlap(output, other) || alias_allowed(output, other)) {
                continue;
            }
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s overlaps %s; expected separate memory", op, output->name,
                            other->name);
        }
    }
    return PAN_OK;
}

pan_status pan_check_workspace(const char *op, const void *workspace, int64_t bytes, int64_t needed) {
    if (needed > 0 && workspace == NULL) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: workspace is NULL; expected %lld bytes", op, (long long) needed);
    }
    if (bytes < needed) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: workspace has %lld bytes; expected %lld", op, (long long) bytes,
                        (long long) needed);
    }
    return PAN_OK;
}
