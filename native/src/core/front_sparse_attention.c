/* Public functions of attention by blocks. */
#include "front_block_lists.h"
#include "front_heads.h"

static head_sizes query_sizes(const pan_sparse_attention_desc *desc) {
    return (head_sizes){desc->batch, desc->length, desc->heads, desc->head_dim, false};
}

static head_sizes key_sizes(const pan_sparse_attention_desc *desc) {
    return (head_sizes){desc->batch, desc->first + desc->length, desc->kv_heads, desc->head_dim, false};
}

static list_sizes sizes_of_lists(const pan_sparse_attention_desc *desc) {
    return (list_sizes){desc->batch, desc->kv_heads, desc->length, desc->first};
}

static pan_status check_sparse_attention(const char *op, const pan_stream *stream,
                                         const pan_sparse_attention_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_key_heads(op, desc->heads, desc->kv_heads));
    PAN_TRY(pan_check_int32_size(op, "length", desc->length));
    if (desc->first < 0 || desc->first > INT32_MAX - desc->length) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: first is %lld; expected 0 to 2^31 - 1 - length", op,
                        (long long) desc->first);
    }
    PAN_TRY(pan_check_size(op, "head_dim", desc->head_dim));
    if (desc->window != 0) {
        PAN_TRY(pan_check_size(op, "window", desc->window));
    }
    if (desc->globals != 0) {
        PAN_TRY(pan_check_size(op, "globals", desc->globals));
    }
    const int64_t rows = pan_product(desc->batch, desc->heads, desc->length);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of lse overflows", op);
    }
    const int64_t key_rows = pan_product(desc->batch, desc->kv_heads, desc->first + desc->length);
    if (key_rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of k overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "q", rows, desc->head_dim));
    PAN_TRY(pan_check_extent(op, "k", key_rows, desc->head_dim));
    PAN_TRY(pan_check_layout(op, "q", query_sizes(desc), &desc->q));
    PAN_TRY(pan_check_layout(op, "k", key_sizes(desc), &desc->k));
    PAN_TRY(pan_check_layout(op, "v", key_sizes(desc), &desc->v));
    PAN_TRY(pan_check_layout(op, "o", query_sizes(desc), &desc->o));
    return pan_check_block_lists(op, "lists", &desc->lists, sizes_of_lists(desc));
}

/* Of backward, and of the query of its workspace. */
static pan_status check_backward(const char *op, const pan_stream *stream, const pan_sparse_attention_desc *desc) {
    PAN_TRY(check_sparse_attention(op, stream, desc));
    if (desc->first != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: first is %lld; expected 0, because gradients need all queries", op,
                        (long long) desc->first);
    }
    return PAN_OK;
}

static pan_array query_array(const pan_sparse_attention_desc *desc, const char *name, const void *address,
                             const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, query_sizes(desc), layout, flags);
}

static pan_array key_array(const pan_sparse_attention_desc *desc, const char *name, const void *address,
                           const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, key_sizes(desc), layout, flags);
}

static int64_t statistics_bytes(const pan_stream *stream, const pan_sparse_attention_desc *desc) {
    return desc->batch * desc->heads * desc->length * pan_real_bytes(stream);
}

static int64_t list_bytes(const pan_sparse_attention_desc *desc) {
    return pan_list_entries(&desc->lists, sizes_of_lists(desc)) * 4;
}

pan_status pan_sparse_attention_forward_workspace_size(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                                       int64_t *bytes) {
    PAN_FRONT_SIZE(sparse_attention_forward_workspace_size, check_sparse_attention)
}

pan_status pan_sparse_attention_forward(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                        const int32_t *blocks, const void *q, const void *k, const void *v, void *o,
                                        float *lse, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(sparse_attention_forward)
    PAN_TRY(check_sparse_attention(op, stream, desc));
    PAN_FRONT_WORKSPACE(sparse_attention_forward_workspace_size)
    const pan_array arrays[] = {
        PAN_OPTIONAL_INTEGERS(blocks, list_bytes(desc)),
        query_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        key_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        key_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        query_array(desc, "o", o, &desc->o, PAN_ARRAY_OUTPUT),
        PAN_OUTPUT(lse, statistics_bytes(stream, desc)),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    PAN_TRY(pan_check_listed(op, "blocks", stream, &desc->lists, sizes_of_lists(desc), blocks));
    return ops->sparse_attention_forward(stream, desc, blocks, q, k, v, o, lse, workspace, workspace_bytes);
}

pan_status pan_sparse_attention_backward_workspace_size(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                                        int64_t *bytes) {
    PAN_FRONT_SIZE(sparse_attention_backward_workspace_size, check_backward)
}

pan_status pan_sparse_attention_backward(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                         const int32_t *blocks, const void *q, const void *k, const void *v,
                                         const void *o, const float *lse, const void *d_o, const float *d_lse, void *dq,
                                         void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(sparse_attention_backward)
    PAN_TRY(check_backward(op, stream, desc));
    PAN_FRONT_WORKSPACE(sparse_attention_backward_workspace_size)
    const pan_array arrays[] = {
        PAN_OPTIONAL_INTEGERS(blocks, list_bytes(desc)),
        query_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        key_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        key_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        query_array(desc, "o", o, &desc->o, PAN_ARRAY_INPUT),
        PAN_INPUT(lse, statistics_bytes(stream, desc)),
        query_array(desc, "d_o", d_o, &desc->o, PAN_ARRAY_INPUT),
        PAN_OPTIONAL_INPUT(d_lse, statistics_bytes(stream, desc)),
        query_array(desc, "dq", dq, &desc->q, PAN_ARRAY_OUTPUT),
        key_array(desc, "dk", dk, &desc->k, PAN_ARRAY_OUTPUT),
        key_array(desc, "dv", dv, &desc->v, PAN_ARRAY_OUTPUT),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    PAN_TRY(pan_check_listed(op, "blocks", stream, &desc->lists, sizes_of_lists(desc), blocks));
    return ops->sparse_attention_backward(stream, desc, blocks, q, k, v, o, lse, d_o, d_lse, dq, dk, dv, workspace,
                                          workspace_bytes);
}

static pan_status check_merge(const char *op, const pan_stream *stream, const pan_attention_merge_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "heads", desc->heads));
    PAN_TRY(pan_check_size(op, "head_dim", desc->head_dim));
    const int64_t rows = pan_product(desc->batch, desc->heads, desc->length);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of lse overflows", op);
    }
    return pan_check_extent(op, "o", rows, desc->head_dim);
}

/* Bytes of lse and of o. */
typedef struct merge_bytes {
    int64_t lse;
    int64_t o;
} merge_bytes;

static merge_bytes bytes_of_merge(const pan_stream *stream, const pan_attention_merge_desc *desc) {
    const int64_t rows = desc->batch * desc->heads * desc->length;
    return (merge_bytes){rows * pan_real_bytes(stream), rows * desc->head_dim * pan_element_bytes(desc->dtype)};
}

pan_status pan_attention_merge_forward(pan_stream *stream, const pan_attention_merge_desc *desc, const void *o1,
                                       const float *lse1, const void *o2, const float *lse2, void *o, float *lse) {
    PAN_FRONT(attention_merge_forward)
    PAN_TRY(check_merge(op, stream, desc));
    const merge_bytes bytes = bytes_of_merge(stream, desc);
    const pan_array arrays[] = {
        PAN_INPUT(o1, bytes.o),     PAN_INPUT(lse1, bytes.lse), PAN_INPUT(o2, bytes.o),
        PAN_INPUT(lse2, bytes.lse), PAN_OUTPUT(o, bytes.o),     PAN_OUTPUT(lse, bytes.lse),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->attention_merge_forward(stream, desc, o1, lse1, o2, lse2, o, lse);
}

pan_status pan_attention_merge_backward(pan_stream *stream, const pan_attention_merge_desc *desc, const void *o1,
                                        const float *lse1, const void *o2, const float *lse2, const void *o,
                                        const float *lse, const void *d_o, const float *d_lse, void *d_o1,
                                        float *d_lse1, void *d_o2, float *d_lse2) {
    PAN_FRONT(attention_merge_backward)
    PAN_TRY(check_merge(op, stream, desc));
    const merge_bytes bytes = bytes_of_merge(stream, desc);
    const pan_array arrays[] = {
        PAN_INPUT(o1, bytes.o),    PAN_INPUT(lse1, bytes.lse),
        PAN_INPUT(o2, bytes.o),    PAN_INPUT(lse2, bytes.lse),
        PAN_INPUT(o, bytes.o),     PAN_INPUT(lse, bytes.lse),
        PAN_INPUT(d_o, bytes.o),   PAN_OPTIONAL_INPUT(d_lse, bytes.lse),
        PAN_OUTPUT(d_o1, bytes.o), PAN_OUTPUT(d_lse1, bytes.lse),
        PAN_OUTPUT(d_o2, bytes.o), PAN_OUTPUT(d_lse2, bytes.lse),
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->attention_merge_backward(stream, desc, o1, lse1, o2, lse2, o, lse, d_o, d_lse, d_o1, d_lse1, d_o2,
                                         d_lse2);
}
