/* Public functions of the ops that map rows to rows: linear, embedding, norms, softmax. */
#include "front.h"

static pan_status check_linear(const char *op, const pan_stream *stream, const pan_linear_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "rows", desc->rows));
    PAN_TRY(pan_check_size(op, "in_features", desc->in_features));
    PAN_TRY(pan_check_size(op, "out_features", desc->out_features));
    PAN_TRY(pan_check_stride(op, "x_stride", desc->x_stride, desc->in_features));
    PAN_TRY(pan_check_stride(op, "y_stride", desc->y_stride, desc->out_features));
    PAN_TRY(pan_check_extent(op, "x", desc->rows, desc->x_stride));
    PAN_TRY(pan_check_extent(op, "y", desc->rows, desc->y_stride));
    return pan_check_extent(op, "weight", desc->out_features, desc->in_features);
}

pan_status pan_linear_forward(pan_stream *stream, const pan_linear_desc *desc, const void *x, const float *weight,
                              const float *bias, void *y) {
    PAN_FRONT(linear_forward)
    PAN_TRY(check_linear(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    const pan_array arrays[] = {
        PAN_INPUT(x, pan_extent(desc->rows, desc->x_stride, desc->in_features, element)),
        PAN_INPUT(weight, pan_product(desc->in_features, desc->out_features, real)),
        PAN_OPTIONAL_INPUT(bias, desc->out_features * real),
        PAN_OUTPUT(y, pan_extent(desc->rows, desc->y_stride, desc->out_features, element)),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->linear_forward(stream, desc, x, weight, bias, y);
}

pan_status pan_linear_backward_workspace_size(pan_stream *stream, const pan_linear_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(linear_backward_workspace_size, check_linear)
}

pan_status pan_linear_backward(pan_stream *stream, const pan_linear_desc *desc, const void *x, const float *weight,
                               const void *dy, void *dx, float *dweight, float *dbias, void *workspace,
                               int64_t workspace_bytes) {
    PAN_FRONT(linear_backward)
    PAN_TRY(check_linear(op, stream, desc));
    PAN_FRONT_WORKSPACE(linear_backward_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    int64_t x_bytes = pan_extent(desc->rows, desc->x_stride, desc->in_features, element);
    int64_t weight_bytes = pan_product(desc->in_features, desc->out_features, real);
    const pan_array arrays[] = {
        PAN_INPUT(x, x_bytes),
        PAN_INPUT(weight, weight_bytes),
        PAN_INPUT(dy, pan_extent(desc->rows, desc->y_stride, desc->out_features, element)),
        PAN_OPTIONAL_OUTPUT(dx, x_bytes),
        PAN_OPTIONAL_OUTPUT(dweight, weight_bytes),
        PAN_OPTIONAL_OUTPUT(dbias, desc->out_features * real),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->linear_backward(stream, desc, x, weight, dy, dx, dweight, dbias, workspace, workspace_bytes);
}

static pan_status check_embedding(const char *op, const pan_stream *stream, const pan_embedding_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_size(op, "vocab_size", desc->vocab_size));
    if (pan_product(desc->batch, desc->length, 4) < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of ids overflows", op);
    }
    if (desc->positions != 0) {
        PAN_TRY(pan_check_size(op, "positions", desc->positions));
        if (desc->positions < desc->length) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: length is %lld; the position table has %lld rows", op,
                            (long long) desc->length, (long long) desc->positions);
        }
    }
    return PAN_OK;
}

static int64_t table_bytes(int64_t rows, int64_t channels, int64_t real) {
    return pan_product(rows, channels, real);
}

/* Before any work. The ids of a CUDA device cannot be read here. */
static pan_status check_ids(const char *op, const pan_stream *stream, const pan_embedding_desc *desc,
                            const int32_t *ids) {
    if (stream->device->info.backend == PAN_BACKEND_CUDA) {
        return PAN_OK;
    }
    int64_t count = desc->batch * desc->length;
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= desc->vocab_size) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: ids[%lld,%lld] is %d; expected 0 to %lld", op,
                            (long long) (i / desc->length), (long long) (i % desc->length), ids[i],
                            (long long) desc->vocab_size - 1);
        }
    }
    return PAN_OK;
}

pan_status pan_embedding_forward(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                 const float *table, const float *position_table, void *y) {
    PAN_FRONT(embedding_forward)
    PAN_TRY(check_embedding(op, stream, desc));
    int64_t real = pan_real_bytes(stream);
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t rows = desc->batch * desc->length;
    const pan_array arrays[] = {
        PAN_INTEGER_INPUT(ids, rows * 4),
        PAN_INPUT(table, table_bytes(desc->vocab_size, desc->channels, real)),
        PAN_OPTIONAL_INPUT(position_table, table_bytes(desc->positions, desc->channels, real)),
        PAN_OUTPUT(y, pan_product(rows, desc->channels, element)),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    if ((position_table != NULL) != (desc->positions != 0)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: position_table is %s but desc.positions is %lld", op,
                        position_table == NULL ? "NULL" : "given", (long long) desc->positions);
    }
    PAN_TRY(check_ids(op, stream, desc, ids));
    return ops->embedding_forward(stream, desc, ids, table, position_table, y);
}

pan_status pan_embedding_backward(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                  const void *dy, float *dtable, float *dposition_table) {
    PAN_FRONT(embedding_backward)
    PAN_TRY(check_embedding(op, stream, desc));
    int64_t real = pan_real_bytes(stream);
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t rows = desc->batch * desc->length;
    const pan_array arrays[] = {
        PAN_INTEGER_INPUT(ids, rows * 4),
        PAN_INPUT(dy, pan_product(rows, desc->channels, element)),
        PAN_OPTIONAL_OUTPUT(dtable, table_bytes(desc->vocab_size, desc->channels, real)),
        PAN_OPTIONAL_OUTPUT(dposition_table, table_bytes(desc->positions, desc->channels, real)),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    if (dposition_table != NULL && desc->positions == 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: dposition_table is given but desc.positions is 0", op);
    }
    PAN_TRY(check_ids(op, stream, desc, ids));
    return ops->embedding_backward(stream, desc, ids, dy, dtable, dposition_table);
}

static pan_status check_norm(const char *op, const pan_stream *stream, const pan_norm_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_kind(op, "kind", desc->kind, PAN_NORM_RMS + 1));
    PAN_TRY(pan_check_size(op, "rows", desc->rows));
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_stride(op, "stride", desc->stride, desc->channels));
    PAN_TRY(pan_check_extent(op, "x", desc->rows, desc->stride));
    if (!(desc->epsilon >= 0.0f)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: epsilon is %g; expected >= 0", op, (double) desc->epsilon);
    }
    return PAN_OK;
}

static pan_status check_mean(const char *op, const pan_norm_desc *desc, const float *mean) {
    if ((mean != NULL) != (desc->kind == PAN_NORM_LAYER)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: mean is %s; expected it exactly for PAN_NORM_LAYER", op,
                        mean == NULL ? "NULL" : "given");
    }
    return PAN_OK;
}

pan_status pan_norm_forward(pan_stream *stream, const pan_norm_desc *desc, const void *x, const void *residual,
                            const float *weight, const float *bias, void *sum, void *y, float *mean, float *rstd) {
    PAN_FRONT(norm_forward)
    PAN_TRY(check_norm(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    int64_t row_bytes = pan_extent(desc->rows, desc->stride, desc->channels, element);
    const pan_array arrays[] = {
        PAN_INPUT(x, row_bytes),
        PAN_OPTIONAL_INPUT(residual, row_bytes),
        PAN_INPUT(weight, desc->channels * real),
        PAN_OPTIONAL_INPUT(bias, desc->channels * real),
        PAN_OPTIONAL_OUTPUT(sum, row_bytes, "x", "residual"),
        PAN_OUTPUT(y, row_bytes),
        PAN_OPTIONAL_OUTPUT(mean, desc->rows * real),
        PAN_OUTPUT(rstd, desc->rows * real),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    PAN_TRY(check_mean(op, desc, mean));
    if ((sum != NULL) != (residual != NULL)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: sum is %s; expected it exactly where residual is given", op,
                        sum == NULL ? "NULL" : "given");
    }
    return ops->norm_forward(stream, desc, x, residual, weight, bias, sum, y, mean, rstd);
}

pan_status pan_norm_backward_workspace_size(pan_stream *stream, const pan_norm_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(norm_backward_workspace_size, check_norm)
}

pan_status pan_norm_backward(pan_stream *stream, const pan_norm_desc *desc, const void *sum, const float *weight,
                             const float *mean, const float *rstd, const void *dsum, const void *dy, void *dx,
                             float *dweight, float *dbias, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(norm_backward)
    PAN_TRY(check_norm(op, stream, desc));
    PAN_FRONT_WORKSPACE(norm_backward_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    int64_t row_bytes = pan_extent(desc->rows, desc->stride, desc->channels, element);
    const pan_array arrays[] = {
        PAN_INPUT(sum, row_bytes),
        PAN_INPUT(weight, desc->channels * real),
        PAN_OPTIONAL_INPUT(mean, desc->rows * real),
        PAN_INPUT(rstd, desc->rows * real),
        PAN_OPTIONAL_INPUT(dsum, row_bytes),
        PAN_INPUT(dy, row_bytes),
        PAN_OPTIONAL_OUTPUT(dx, row_bytes, "dsum", "dy"),
        PAN_OPTIONAL_OUTPUT(dweight, desc->channels * real),
        PAN_OPTIONAL_OUTPUT(dbias, desc->channels * real),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    PAN_TRY(check_mean(op, desc, mean));
    return ops->norm_backward(stream, desc, sum, weight, mean, rstd, dsum, dy, dx, dweight, dbias, workspace,
                              workspace_bytes);
}

static pan_status check_softmax(const char *op, const pan_stream *stream, const pan_softmax_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "rows", desc->rows));
    return pan_check_size(op, "columns", desc->columns);
}

pan_status pan_softmax_forward(pan_stream *stream, const pan_softmax_desc *desc, const void *x, void *y) {
    PAN_FRONT(softmax_forward)
    PAN_TRY(check_softmax(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = pan_product(desc->rows, desc->columns, element);
    const pan_array arrays[] = {PAN_INPUT(x, bytes), PAN_OUTPUT(y, bytes, "x")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->softmax_forward(stream, desc, x, y);
}

pan_status pan_softmax_backward(pan_stream *stream, const pan_softmax_desc *desc, const void *y, const void *dy,
                                void *dx) {
    PAN_FRONT(softmax_backward)
    PAN_TRY(check_softmax(op, stream, desc));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = pan_product(desc->rows, desc->columns, element);
    const pan_array arrays[] = {PAN_INPUT(y, bytes), PAN_INPUT(dy, bytes), PAN_OUTPUT(dx, bytes, "dy")};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->softmax_backward(stream, desc, y, dy, dx);
}

pan_status pan_top_k_mask(pan_stream *stream, const pan_top_k_mask_desc *desc, const void *x, void *y) {
    PAN_FRONT(top_k_mask)
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "rows", desc->rows));
    PAN_TRY(pan_check_size(op, "columns", desc->columns));
    PAN_TRY(pan_check_size(op, "k", desc->k));
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t bytes = pan_product(desc->rows, desc->columns, element);
    const pan_array arrays[] = {PAN_INPUT(x, bytes), PAN_OUTPUT(y, bytes)};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->top_k_mask(stream, desc, x, y);
}
