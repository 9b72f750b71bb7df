/* Public functions of the products, copies, sums and systems of equations that take arrays of any kind. */
#include "front.h"

/* Matrices of a batch, the stored rows of each `stride` apart. */
typedef struct matrices {
    const char *name;
    int64_t rows;
    int64_t columns;
    int64_t stride;
    int64_t batch_stride;
} matrices;

static matrices matrices_a(const pan_matmul_desc *desc) {
    return (matrices){"a", desc->a_transposed ? desc->k : desc->m, desc->a_transposed ? desc->m : desc->k,
                      desc->a_stride, desc->a_batch_stride};
}

static matrices matrices_b(const pan_matmul_desc *desc) {
    return (matrices){"b", desc->b_transposed ? desc->n : desc->k, desc->b_transposed ? desc->k : desc->n,
                      desc->b_stride, desc->b_batch_stride};
}

static matrices matrices_y(const pan_matmul_desc *desc) {
    return (matrices){"y", desc->m, desc->n, desc->y_stride, desc->y_batch_stride};
}

/* Where all rows are one stride apart, the matrices may be a column range of a packed array. */
static pan_array matrices_array(const pan_matmul_desc *desc, matrices m, const void *address, int32_t flags) {
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t before_last = pan_product(desc->batch - 1, m.batch_stride, 1);
    int64_t elements = pan_extent(m.rows, m.stride, m.columns, 1);
    bool overflow = before_last < 0 || elements < 0 || __builtin_add_overflow(before_last, elements, &elements);
    bool in_rows = m.batch_stride % m.stride == 0;
    return (pan_array){.name = m.name,
                       .address = address,
                       .bytes = overflow ? -1 : pan_product(elements, element, 1),
                       .flags = flags,
                       .stride = in_rows ? m.stride * element : 0,
                       .row = in_rows ? m.columns * element : 0};
}

static pan_status check_matrices(const char *op, const pan_matmul_desc *desc, matrices m, const char *stride_name,
                                 const char *batch_stride_name, int64_t least_batch_stride) {
    PAN_TRY(pan_check_stride(op, stride_name, m.stride, m.columns));
    PAN_TRY(pan_check_extent(op, m.name, m.rows, m.stride));
    PAN_TRY(pan_check_stride(op, batch_stride_name, m.batch_stride, least_batch_stride));
    return pan_check_extent(op, m.name, desc->batch, m.batch_stride);
}

static pan_status check_matmul(const char *op, const pan_stream *stream, const pan_matmul_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_kind(op, "accumulate", desc->accumulate, 2));
    PAN_TRY(pan_check_kind(op, "a_transposed", desc->a_transposed, 2));
    PAN_TRY(pan_check_kind(op, "b_transposed", desc->b_transposed, 2));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "m", desc->m));
    PAN_TRY(pan_check_size(op, "n", desc->n));
    PAN_TRY(pan_check_size(op, "k", desc->k));
    PAN_TRY(check_matrices(op, desc, matrices_a(desc), "a_stride", "a_batch_stride", 0));
    PAN_TRY(check_matrices(op, desc, matrices_b(desc), "b_stride", "b_batch_stride", 0));
    PAN_TRY(pan_check_stride(op, "y_stride", desc->y_stride, desc->n));
    PAN_TRY(pan_check_extent(op, "y", desc->m, desc->y_stride));
    return check_matrices(op, desc, matrices_y(desc), "y_stride", "y_batch_stride",
                          pan_extent(desc->m, desc->y_stride, desc->n, 1));
}

pan_status pan_matmul_workspace_size(pan_stream *stream, const pan_matmul_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(matmul_workspace_size, check_matmul)
}

pan_status pan_matmul(pan_stream *stream, const pan_matmul_desc *desc, const void *a, const void *b, void *y,
                      void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(matmul)
    PAN_TRY(check_matmul(op, stream, desc));
    PAN_FRONT_WORKSPACE(matmul_workspace_size)
    const pan_array arrays[] = {
        matrices_array(desc, matrices_a(desc), a, PAN_ARRAY_INPUT),
        matrices_array(desc, matrices_b(desc), b, PAN_ARRAY_INPUT),
        matrices_array(desc, matrices_y(desc), y, PAN_ARRAY_OUTPUT),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->matmul(stream, desc, a, b, y, workspace, workspace_bytes);
}

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

/* Arrays of (outer, count, inner); their bytes go to `bytes`. */
static pan_status check_middle_dimension(const char *op, int64_t outer, int64_t count, int64_t inner, int64_t element,
                                         int64_t *bytes) {
    PAN_TRY(pan_check_size(op, "outer", outer));
    PAN_TRY(pan_check_size(op, "count", count));
    PAN_TRY(pan_check_size(op, "inner", inner));
    const int64_t rows = pan_product(outer, count, 1);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of x overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "x", rows, inner));
    *bytes = rows * inner * element;
    return PAN_OK;
}

pan_status pan_cumulative_sum(pan_stream *stream, const pan_cumulative_sum_desc *desc, const void *x, void *y) {
    PAN_FRONT(cumulative_sum)
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_kind(op, "reverse", desc->reverse, 2));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    const int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = 0;
    PAN_TRY(check_middle_dimension(op, desc->outer, desc->count, desc->inner, element, &bytes));
    const pan_array arrays[] = {PAN_INPUT(x, bytes), PAN_OUTPUT(y, bytes, "x")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->cumulative_sum(stream, desc, x, y);
}

pan_status pan_cumulative_log_sum_exp_forward(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                              const void *x, void *y) {
    PAN_FRONT(cumulative_log_sum_exp_forward)
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    const int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = 0;
    PAN_TRY(check_middle_dimension(op, desc->outer, desc->count, desc->inner, element, &bytes));
    const pan_array arrays[] = {PAN_INPUT(x, bytes), PAN_OUTPUT(y, bytes, "x")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->cumulative_log_sum_exp_forward(stream, desc, x, y);
}

pan_status pan_cumulative_log_sum_exp_backward(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                               const void *x, const void *y, const void *dy, void *dx) {
    PAN_FRONT(cumulative_log_sum_exp_backward)
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    const int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = 0;
    PAN_TRY(check_middle_dimension(op, desc->outer, desc->count, desc->inner, element, &bytes));
    const pan_array arrays[] = {PAN_INPUT(x, bytes), PAN_INPUT(y, bytes), PAN_INPUT(dy, bytes),
                                PAN_OUTPUT(dx, bytes, "dy")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->cumulative_log_sum_exp_backward(stream, desc, x, y, dy, dx);
}

/* Their bytes go to `matrices` and `vectors`. */
static pan_status check_triangular_solve(const char *op, const pan_stream *stream,
                                         const pan_triangular_solve_desc *desc, int64_t *matrices, int64_t *vectors) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "size", desc->size));
    PAN_TRY(pan_check_size(op, "columns", desc->columns));
    const int64_t rows = pan_product(desc->batch, desc->size, 1);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of a overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "a", rows, desc->size));
    PAN_TRY(pan_check_extent(op, "b", rows, desc->columns));
    const int64_t element = pan_element_bytes(desc->dtype);
    *matrices = rows * desc->size * element;
    *vectors = rows * desc->columns * element;
    return PAN_OK;
}

pan_status pan_triangular_solve_forward(pan_stream *stream, const pan_triangular_solve_desc *desc, const void *a,
                                        const void *b, void *x) {
    PAN_FRONT(triangular_solve_forward)
    int64_t matrices = 0, vectors = 0;
    PAN_TRY(check_triangular_solve(op, stream, desc, &matrices, &vectors));
    const pan_array arrays[] = {PAN_INPUT(a, matrices), PAN_INPUT(b, vectors), PAN_OUTPUT(x, vectors, "b")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->triangular_solve_forward(stream, desc, a, b, x);
}

pan_status pan_triangular_solve_backward(pan_stream *stream, const pan_triangular_solve_desc *desc, const void *a,
                                         const void *x, const void *dx, void *da, void *db) {
    PAN_FRONT(triangular_solve_backward)
    int64_t matrices = 0, vectors = 0;
    PAN_TRY(check_triangular_solve(op, stream, desc, &matrices, &vectors));
    const pan_array arrays[] = {PAN_INPUT(a, matrices), PAN_INPUT(x, vectors), PAN_INPUT(dx, vectors),
                                PAN_OUTPUT(da, matrices), PAN_OUTPUT(db, vectors, "dx")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->triangular_solve_backward(stream, desc, a, x, dx, da, db);
}
