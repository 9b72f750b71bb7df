/* Public functions of the sequence ops (attention) and of the vocabulary loss. */
#include "front_attention.h"

/* Before any work. The list of a CUDA device cannot be read here. */
static pan_status check_query_rows(const char *op, const pan_stream *stream, const pan_attention_desc *desc,
                                   const int32_t *query_rows) {
    if ((query_rows != NULL) != (desc->queries != 0)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: query_rows is %s but desc.queries is %lld", op,
                        query_rows == NULL ? "NULL" : "given", (long long) desc->queries);
    }
    if (stream->device->info.backend == PAN_BACKEND_CUDA) {
        return PAN_OK;
    }
    const int64_t positions = desc->batch * desc->length;
    for (int64_t i = 0; i < desc->queries; i++) {
        if (query_rows[i] < 0 || query_rows[i] >= positions) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: query_rows[%lld] is %d; expected 0 to %lld", op, (long long) i,
                            query_rows[i], (long long) positions - 1);
        }
        if (i > 0 && query_rows[i] < query_rows[i - 1]) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: query_rows[%lld] is %d after %d; expected ascending order", op,
                            (long long) i, query_rows[i], query_rows[i - 1]);
        }
    }
    return PAN_OK;
}

pan_status pan_attention_forward_workspace_size(pan_stream *stream, const pan_attention_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(attention_forward_workspace_size, pan_check_attention)
}

pan_status pan_attention_forward(pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                                 const int32_t *query_rows, const void *q, const void *k, const void *v, void *o,
                                 float *lse, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(attention_forward)
    PAN_TRY(pan_check_attention(op, stream, desc));
    PAN_FRONT_WORKSPACE(attention_forward_workspace_size)
    const pan_array arrays[] = {
        pan_random_array(desc, random),
        PAN_OPTIONAL_INTEGERS(query_rows, desc->queries * 4),
        pan_query_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        pan_key_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        pan_key_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        pan_query_array(desc, "o", o, &desc->o, PAN_ARRAY_OUTPUT),
        PAN_OUTPUT(lse, pan_attention_statistics(desc) * pan_real_bytes(stream)),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    PAN_TRY(check_query_rows(op, stream, desc, query_rows));
    return ops->attention_forward(stream, desc, random, query_rows, q, k, v, o, lse, workspace, workspace_bytes);
}

pan_status pan_attention_backward_workspace_size(pan_stream *stream, const pan_attention_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(attention_backward_workspace_size, pan_check_attention)
}

pan_status pan_attention_backward(pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                                  const int32_t *query_rows, const void *q, const void *k, const void *v, const void *o,
                                  const float *lse, const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                  int64_t workspace_bytes) {
    PAN_FRONT(attention_backward)
    PAN_TRY(pan_check_attention(op, stream, desc));
    PAN_FRONT_WORKSPACE(attention_backward_workspace_size)
    const pan_array arrays[] = {
        pan_random_array(desc, random),
        PAN_OPTIONAL_INTEGERS(query_rows, desc->queries * 4),
        pan_query_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        pan_key_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        pan_key_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        pan_query_array(desc, "o", o, &desc->o, PAN_ARRAY_INPUT),
        PAN_INPUT(lse, pan_attention_statistics(desc) * pan_real_bytes(stream)),
        pan_query_array(desc, "d_o", d_o, &desc->o, PAN_ARRAY_INPUT),
        pan_query_array(desc, "dq", dq, &desc->q, PAN_ARRAY_OUTPUT),
        pan_key_array(desc, "dk", dk, &desc->k, PAN_ARRAY_OUTPUT),
        pan_key_array(desc, "dv", dv, &desc->v, PAN_ARRAY_OUTPUT),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    PAN_TRY(check_query_rows(op, stream, desc, query_rows));
    return ops->attention_backward(stream, desc, random, query_rows, q, k, v, o, lse, d_o, dq, dk, dv, workspace,
                                   workspace_bytes);
}

static pan_status check_vocabulary(const char *op, const pan_stream *stream, const pan_vocabulary_loss_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_int32_size(op, "rows", desc->rows)); /* labelled_count */
    PAN_TRY(pan_check_size(op, "channels", desc->channels));
    PAN_TRY(pan_check_int32_size(op, "vocab_size", desc->vocab_size)); /* arg_max */
    PAN_TRY(pan_check_stride(op, "hidden_stride", desc->hidden_stride, desc->channels));
    PAN_TRY(pan_check_extent(op, "hidden", desc->rows, desc->hidden_stride));
    return pan_check_extent(op, "weight", desc->vocab_size, desc->channels);
}

static pan_status check_labels(const char *op, const pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                               const int32_t *labels) {
    if (stream->device->info.backend == PAN_BACKEND_CUDA) {
        return PAN_OK;
    }
    for (int64_t row = 0; row < desc->rows; row++) {
        if (labels[row] != PAN_IGNORE_LABEL && (labels[row] < 0 || labels[row] >= desc->vocab_size)) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: labels[%lld] is %d; expected 0 to %lld, or %d to ignore the row",
                            op, (long long) row, labels[row], (long long) desc->vocab_size - 1, PAN_IGNORE_LABEL);
        }
    }
    return PAN_OK;
}

pan_status pan_vocabulary_loss_forward_workspace_size(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                      int64_t *bytes) {
    PAN_FRONT_SIZE(vocabulary_loss_forward_workspace_size, check_vocabulary)
}

pan_status pan_vocabulary_loss_forward(pan_stream *stream, const pan_vocabulary_loss_desc *desc, const void *hidden,
                                       const float *weight, const int32_t *labels, float *loss, int32_t *labelled_count,
                                       float *row_loss, float *lse, int32_t *arg_max, void *workspace,
                                       int64_t workspace_bytes) {
    PAN_FRONT(vocabulary_loss_forward)
    PAN_TRY(check_vocabulary(op, stream, desc));
    PAN_FRONT_WORKSPACE(vocabulary_loss_forward_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    const pan_array arrays[] = {
        PAN_INTEGER_INPUT(labels, desc->rows * 4),
        PAN_INTEGER_OUTPUT(labelled_count, 4),
        PAN_INTEGER_OUTPUT(arg_max, desc->rows * 4),
        PAN_INPUT(hidden, pan_extent(desc->rows, desc->hidden_stride, desc->channels, element)),
        PAN_INPUT(weight, pan_product(desc->vocab_size, desc->channels, real)),
        PAN_OUTPUT(loss, real),
        PAN_OUTPUT(row_loss, desc->rows * real),
        PAN_OUTPUT(lse, desc->rows * real),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    PAN_TRY(check_labels(op, stream, desc, labels));
    return ops->vocabulary_loss_forward(stream, desc, hidden, weight, labels, loss, labelled_count, row_loss, lse,
                                        arg_max, workspace, workspace_bytes);
}

pan_status pan_vocabulary_loss_backward_workspace_size(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                       int64_t *bytes) {
    PAN_FRONT_SIZE(vocabulary_loss_backward_workspace_size, check_vocabulary)
}

pan_status pan_vocabulary_loss_backward(pan_stream *stream, const pan_vocabulary_loss_desc *desc, const void *hidden,
                                        const float *weight, const int32_t *labels, const int32_t *labelled_count,
                                        const float *lse, const float *dloss, void *dhidden, float *dweight,
                                        void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(vocabulary_loss_backward)
    PAN_TRY(check_vocabulary(op, stream, desc));
    PAN_FRONT_WORKSPACE(vocabulary_loss_backward_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    int64_t hidden_bytes = pan_extent(desc->rows, desc->hidden_stride, desc->channels, element);
    int64_t weight_bytes = pan_product(desc->vocab_size, desc->channels, real);
    const pan_array arrays[] = {
        PAN_INTEGER_INPUT(labels, desc->rows * 4),
        PAN_INTEGER_INPUT(labelled_count, 4),
        PAN_INPUT(hidden, hidden_bytes),
        PAN_INPUT(weight, weight_bytes),
        PAN_INPUT(lse, desc->rows * real),
        PAN_INPUT(dloss, real),
        PAN_OPTIONAL_OUTPUT(dhidden, hidden_bytes),
        PAN_OPTIONAL_OUTPUT(dweight, weight_bytes),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    PAN_TRY(check_labels(op, stream, desc, labels));
    return ops->vocabulary_loss_backward(stream, desc, hidden, weight, labels, labelled_count, lse, dloss, dhidden,
                                         dweight, workspace, workspace_bytes);
}

pan_status pan_vocabulary_loss_with_gradient_workspace_size(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                            int64_t *bytes) {
    PAN_FRONT_SIZE(vocabulary_loss_with_gradient_workspace_size, check_vocabulary)
}

pan_status pan_vocabulary_loss_with_gradient(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                             const void *hidden, const float *weight, const int32_t *labels,
                                             const float *dloss, float *loss, int32_t *labelled_count, float *row_loss,
                                             float *lse, int32_t *arg_max, void *dhidden, float *dweight,
                                             void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(vocabulary_loss_with_gradient)
    PAN_TRY(check_vocabulary(op, stream, desc));
    PAN_FRONT_WORKSPACE(vocabulary_loss_with_gradient_workspace_size)
    int64_t element = pan_element_bytes(desc->dtype);
    int64_t real = pan_real_bytes(stream);
    int64_t hidden_bytes = pan_extent(desc->rows, desc->hidden_stride, desc->channels, element);
    int64_t weight_bytes = pan_product(desc->vocab_size, desc->channels, real);
    const pan_array arrays[] = {
        PAN_INTEGER_INPUT(labels, desc->rows * 4),
        PAN_INTEGER_OUTPUT(labelled_count, 4),
        PAN_INTEGER_OUTPUT(arg_max, desc->rows * 4),
        PAN_INPUT(hidden, hidden_bytes),
        PAN_INPUT(weight, weight_bytes),
        PAN_INPUT(dloss, real),
        PAN_OUTPUT(loss, real),
        PAN_OUTPUT(row_loss, desc->rows * real),
        PAN_OUTPUT(lse, desc->rows * real),
        PAN_OUTPUT(dhidden, hidden_bytes),
        PAN_OUTPUT(dweight, weight_bytes),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    PAN_TRY(check_labels(op, stream, desc, labels));
    return ops->vocabulary_loss_with_gradient(stream, desc, hidden, weight, labels, dloss, loss, labelled_count,
                                              row_loss, lse, arg_max, dhidden, dweight, workspace, workspace_bytes);
}
