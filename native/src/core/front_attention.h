/* Checks of the descriptor and the arrays of attention, of all positions, of listed and of selected ones. */
#ifndef PAN_CORE_FRONT_ATTENTION_H
#define PAN_CORE_FRONT_ATTENTION_H

#include "front_heads.h"

/* Of k and v. */
static inline head_sizes pan_key_rows(const pan_attention_desc *desc) {
    return (head_sizes){desc->batch, desc->length, desc->heads, desc->head_dim, false};
}

/* Of q and o. */
static inline head_sizes pan_query_rows(const pan_attention_desc *desc) {
    return desc->queries == 0 ? pan_key_rows(desc) : (head_sizes){1, desc->queries, desc->heads, desc->head_dim, true};
}

/* Rows of one element for each head: those of lse. */
static inline int64_t pan_attention_statistics(const pan_attention_desc *desc) {
    const head_sizes rows = pan_query_rows(desc);
    return pan_product(rows.batch, desc->heads, rows.length);
}

static inline pan_status pan_check_attention(const char *op, const pan_stream *stream, const pan_attention_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_probability(op, "dropout_probability", desc->dropout_probability));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "heads", desc->heads));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "head_dim", desc->head_dim));
    if (desc->window != 0) {
        PAN_TRY(pan_check_size(op, "window", desc->window));
    }
    if (desc->queries != 0) {
        PAN_TRY(pan_check_size(op, "queries", desc->queries));
    }
    const int64_t keys = pan_product(desc->batch, desc->heads, desc->length);
    if (pan_attention_statistics(desc) < 0 || keys < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of %s overflows", op, keys < 0 ? "k" : "lse");
    }
    PAN_TRY(pan_check_extent(op, "q", pan_attention_statistics(desc), desc->head_dim));
    PAN_TRY(pan_check_extent(op, "k", keys, desc->head_dim));
    PAN_TRY(pan_check_layout(op, "q", pan_query_rows(desc), &desc->q));
    PAN_TRY(pan_check_layout(op, "k", pan_key_rows(desc), &desc->k));
    PAN_TRY(pan_check_layout(op, "v", pan_key_rows(desc), &desc->v));
    return pan_check_layout(op, "o", pan_query_rows(desc), &desc->o);
}

static inline pan_array pan_query_array(const pan_attention_desc *desc, const char *name, const void *address,
                                        const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, pan_query_rows(desc), layout, flags);
}

static inline pan_array pan_key_array(const pan_attention_desc *desc, const char *name, const void *address,
                                      const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, pan_key_rows(desc), layout, flags);
}

static inline pan_array pan_random_array(const pan_attention_desc *desc, const pan_random_state *random) {
    return (pan_array){.name = "random",
                       .address = random,
                       .bytes = sizeof *random,
                       .flags = desc->dropout_probability > 0.0f ? PAN_ARRAY_INPUT : PAN_ARRAY_OPTIONAL,
                       .alignment = _Alignof(pan_random_state)};
}

#endif
