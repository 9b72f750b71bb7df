/* Public functions of attention to pooled blocks and of the choice among them. */
#include "front_block_lists.h"
#include "front_heads.h"

/* A number that may be 0. */
static pan_status check_count(const char *op, const char *name, int64_t value, int64_t most) {
    if (value < 0 || value > most) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is %lld; expected 0 to %lld", op, name, (long long) value,
                        (long long) most);
    }
    return PAN_OK;
}

/* Sizes that both ops have. Blocks are as many as have ended at most. */
static pan_status check_positions(const char *op, int64_t batch, int64_t heads, int64_t kv_heads, int64_t length,
                                  int64_t first, int64_t head_dim, int64_t blocks, int64_t block_size) {
    PAN_TRY(pan_check_size(op, "batch", batch));
    PAN_TRY(pan_check_key_heads(op, heads, kv_heads));
    PAN_TRY(pan_check_size(op, "length", length));
    PAN_TRY(pan_check_size(op, "head_dim", head_dim));
    PAN_TRY(pan_check_size(op, "block_size", block_size));
    if (first != 0) {
        PAN_TRY(pan_check_size(op, "first", first));
    }
    PAN_TRY(pan_check_int32_size(op, "ceil((first + length) / block_size)", (first + length - 1) / block_size + 1));
    PAN_TRY(check_count(op, "blocks", blocks, (first + length) / block_size));
    const int64_t rows = pan_product(batch, heads, length);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of q overflows", op);
    }
    return pan_check_extent(op, "q", rows, head_dim);
}

static pan_status check_keys(const char *op, int64_t batch, int64_t kv_heads, int64_t keys, int64_t head_dim) {
    const int64_t rows = pan_product(batch, kv_heads, keys);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of the keys overflows", op);
    }
    return pan_check_extent(op, "the keys", rows, head_dim);
}

/* ---- attention ---- */

static head_sizes query_sizes(const pan_pooled_attention_desc *desc) {
    return (head_sizes){desc->batch, desc->length, desc->heads, desc->head_dim, false};
}

static head_sizes key_sizes(const pan_pooled_attention_desc *desc) {
    return (head_sizes){desc->batch, desc->always + desc->blocks, desc->kv_heads, desc->head_dim, false};
}

static list_sizes excluded_sizes(const pan_pooled_attention_desc *desc) {
    return (list_sizes){desc->batch, desc->kv_heads, desc->length, desc->first};
}

static pan_status check_excluded(const char *op, const pan_pooled_attention_desc *desc) {
    PAN_TRY(pan_check_block_lists(op, "excluded", &desc->excluded, excluded_sizes(desc)));
    if (desc->excluded.slots != 0 && desc->excluded.block_size != desc->block_size) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: excluded.block_size is %lld; expected block_size, %lld", op,
                        (long long) desc->excluded.block_size, (long long) desc->block_size);
    }
    return PAN_OK;
}

static pan_status check_pooled(const char *op, const pan_stream *stream, const pan_pooled_attention_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(check_positions(op, desc->batch, desc->heads, desc->kv_heads, desc->length, desc->first, desc->head_dim,
                            desc->blocks, desc->block_size));
    if (desc->always != 0) {
        PAN_TRY(pan_check_size(op, "always", desc->always));
    }
    PAN_TRY(pan_check_size(op, "always + blocks", desc->always + desc->blocks));
    PAN_TRY(check_keys(op, desc->batch, desc->kv_heads, desc->always + desc->blocks, desc->head_dim));
    PAN_TRY(check_excluded(op, desc));
    PAN_TRY(pan_check_layout(op, "q", query_sizes(desc), &desc->q));
    PAN_TRY(pan_check_layout(op, "k", key_sizes(desc), &desc->k));
    PAN_TRY(pan_check_layout(op, "v", key_sizes(desc), &desc->v));
    return pan_check_layout(op, "o", query_sizes(desc), &desc->o);
}

/* Of backward, and of the query of its workspace. */
static pan_status check_pooled_backward(const char *op, const pan_stream *stream,
                                        const pan_pooled_attention_desc *desc) {
    PAN_TRY(check_pooled(op, stream, desc));
    if (desc->first != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: first is %lld; expected 0, because gradients need all queries", op,
                        (long long) desc->first);
    }
    return PAN_OK;
}

static pan_array query_array(const pan_pooled_attention_desc *desc, const char *name, const void *address,
                             const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, query_sizes(desc), layout, flags);
}

static pan_array key_array(const pan_pooled_attention_desc *desc, const char *name, const void *address,
                           const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, key_sizes(desc), layout, flags);
}

static int64_t statistics_bytes(const pan_stream *stream, const pan_pooled_attention_desc *desc) {
    return desc->batch * desc->heads * desc->length * pan_real_bytes(stream);
}

pan_status pan_pooled_attention_forward_workspace_size(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                       int64_t *bytes) {
    PAN_FRONT_SIZE(pooled_attention_forward_workspace_size, check_pooled)
}

pan_status pan_pooled_attention_forward(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                        const int32_t *excluded, const void *q, const void *k, const void *v, void *o,
                                        float *lse, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(pooled_attention_forward)
    PAN_TRY(check_pooled(op, stream, desc));
    PAN_FRONT_WORKSPACE(pooled_attention_forward_workspace_size)
    const pan_array arrays[] = {
        PAN_OPTIONAL_INTEGERS(excluded, pan_list_entries(&desc->excluded, excluded_sizes(desc)) * 4),
        query_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        key_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        key_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        query_array(desc, "o", o, &desc->o, PAN_ARRAY_OUTPUT),
        PAN_OUTPUT(lse, statistics_bytes(stream, desc)),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    PAN_TRY(pan_check_listed(op, "excluded", stream, &desc->excluded, excluded_sizes(desc), excluded));
    return ops->pooled_attention_forward(stream, desc, excluded, q, k, v, o, lse, workspace, workspace_bytes);
}

pan_status pan_pooled_attention_backward_workspace_size(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                        int64_t *bytes) {
    PAN_FRONT_SIZE(pooled_attention_backward_workspace_size, check_pooled_backward)
}

pan_status pan_pooled_attention_backward(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                         const int32_t *excluded, const void *q, const void *k, const void *v,
                                         const void *o, const float *lse, const void *d_o, const float *d_lse, void *dq,
                                         void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(pooled_attention_backward)
    PAN_TRY(check_pooled_backward(op, stream, desc));
    PAN_FRONT_WORKSPACE(pooled_attention_backward_workspace_size)
    const pan_array arrays[] = {
        PAN_OPTIONAL_INTEGERS(excluded, pan_list_entries(&desc->excluded, excluded_sizes(desc)) * 4),
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
    PAN_TRY(pan_check_listed(op, "excluded", stream, &desc->excluded, excluded_sizes(desc), excluded));
    return ops->pooled_attention_backward(stream, desc, excluded, q, k, v, o, lse, d_o, d_lse, dq, dk, dv, workspace,
                                          workspace_bytes);
}

/* ---- the choice of blocks ---- */

static head_sizes chooser_sizes(const pan_block_top_k_desc *desc) {
    return (head_sizes){desc->batch, desc->length, desc->heads, desc->head_dim, false};
}

static head_sizes block_sizes(const pan_block_top_k_desc *desc) {
    return (head_sizes){desc->batch, desc->blocks, desc->kv_heads, desc->head_dim, false};
}

/* Elements of listed; -1 on overflow. */
static int64_t listed_entries(const pan_block_top_k_desc *desc) {
    const int64_t lists = pan_product(desc->batch, desc->kv_heads, desc->length);
    return lists < 0 ? -1 : pan_product(lists, desc->k + desc->own, 1);
}

static pan_status check_top_k(const char *op, const pan_stream *stream, const pan_block_top_k_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    PAN_TRY(pan_check_kind(op, "own", desc->own, 2));
    if (desc->min_weight != -1.0f && !(desc->min_weight >= 0.0f && desc->min_weight < 1.0f)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: min_weight is %g; expected -1, or 0 <= min_weight < 1", op,
                        (double) desc->min_weight);
    }
    PAN_TRY(check_positions(op, desc->batch, desc->heads, desc->kv_heads, desc->length, desc->first, desc->head_dim,
                            desc->blocks, desc->block_size));
    PAN_TRY(pan_check_size(op, "k", desc->k));
    PAN_TRY(check_keys(op, desc->batch, desc->kv_heads, desc->blocks, desc->head_dim));
    if (listed_entries(desc) < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of listed overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "listed", listed_entries(desc), 1));
    PAN_TRY(pan_check_layout(op, "q", chooser_sizes(desc), &desc->q));
    return desc->blocks == 0 ? PAN_OK : pan_check_layout(op, "key", block_sizes(desc), &desc->key);
}

/* Of no blocks nothing is read. */
static pan_array block_array(const pan_block_top_k_desc *desc, const void *key) {
    if (desc->blocks == 0) {
        return (pan_array){.name = "key", .flags = PAN_ARRAY_OPTIONAL};
    }
    return pan_head_array(desc->dtype, "key", key, block_sizes(desc), &desc->key, PAN_ARRAY_INPUT);
}

pan_status pan_block_top_k_workspace_size(pan_stream *stream, const pan_block_top_k_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(block_top_k_workspace_size, check_top_k)
}

pan_status pan_block_top_k(pan_stream *stream, const pan_block_top_k_desc *desc, const void *q, const void *key,
                           int32_t *listed, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(block_top_k)
    PAN_TRY(check_top_k(op, stream, desc));
    PAN_FRONT_WORKSPACE(block_top_k_workspace_size)
    const pan_array arrays[] = {
        pan_head_array(desc->dtype, "q", q, chooser_sizes(desc), &desc->q, PAN_ARRAY_INPUT),
        block_array(desc, key),
        PAN_INTEGER_OUTPUT(listed, listed_entries(desc) * 4),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->block_top_k(stream, desc, q, key, listed, workspace, workspace_bytes);
}
