/* Public functions of attention by selection: which tokens repeat, which positions are chosen, and attention of these. */
#include "front_attention.h"

static pan_status check_top_k(const char *op, const pan_stream *stream, const pan_causal_top_k_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    if (desc->k != 0) {
        PAN_TRY(pan_check_size(op, "k", desc->k));
    }
    return pan_check_extent(op, "score", desc->batch, desc->length);
}

pan_status pan_causal_top_k_workspace_size(pan_stream *stream, const pan_causal_top_k_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(causal_top_k_workspace_size, check_top_k)
}

pan_status pan_causal_top_k(pan_stream *stream, const pan_causal_top_k_desc *desc, const void *score, void *chosen,
                            void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(causal_top_k)
    PAN_TRY(check_top_k(op, stream, desc));
    PAN_FRONT_WORKSPACE(causal_top_k_workspace_size)
    const int64_t element = pan_element_bytes(desc->dtype);
    const int64_t bytes = pan_product(desc->batch, desc->length, element);
    const pan_array arrays[] = {PAN_INPUT(score, bytes), PAN_OUTPUT(chosen, bytes), PAN_WORKSPACE};
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->causal_top_k(stream, desc, score, chosen, workspace, workspace_bytes);
}

/* Positions are listed as int32. */
static pan_status check_selected(const char *op, const pan_stream *stream, const pan_attention_desc *desc) {
    PAN_TRY(pan_check_attention(op, stream, desc));
    if (desc->queries != 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: queries is %lld; expected 0", op, (long long) desc->queries);
    }
    return pan_check_int32_size(op, "batch * length", desc->batch * desc->length);
}

static int64_t chosen_bytes(const pan_attention_desc *desc) {
    return pan_product(desc->batch, desc->length, pan_element_bytes(desc->dtype));
}

pan_status pan_selected_attention_forward_workspace_size(pan_stream *stream, const pan_attention_desc *desc,
                                                         int64_t *bytes) {
    PAN_FRONT_SIZE(selected_attention_forward_workspace_size, check_selected)
}

pan_status pan_selected_attention_forward(pan_stream *stream, const pan_attention_desc *desc,
                                          const pan_random_state *random, const void *chosen, const void *q,
                                          const void *k, const void *v, void *o, float *lse, void *workspace,
                                          int64_t workspace_bytes) {
    PAN_FRONT(selected_attention_forward)
    PAN_TRY(check_selected(op, stream, desc));
    PAN_FRONT_WORKSPACE(selected_attention_forward_workspace_size)
    const pan_array arrays[] = {
        pan_random_array(desc, random),
        PAN_INPUT(chosen, chosen_bytes(desc)),
        pan_query_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        pan_key_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        pan_key_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        pan_query_array(desc, "o", o, &desc->o, PAN_ARRAY_OUTPUT),
        PAN_OUTPUT(lse, pan_attention_statistics(desc) * pan_real_bytes(stream)),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->selected_attention_forward(stream, desc, random, chosen, q, k, v, o, lse, workspace, workspace_bytes);
}

pan_status pan_selected_attention_backward_workspace_size(pan_stream *stream, const pan_attention_desc *desc,
                                                          int64_t *bytes) {
    PAN_FRONT_SIZE(selected_attention_backward_workspace_size, check_selected)
}

pan_status pan_selected_attention_backward(pan_stream *stream, const pan_attention_desc *desc,
                                           const pan_random_state *random, const void *chosen, const void *q,
                                           const void *k, const void *v, const void *o, const float *lse,
                                           const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                           int64_t workspace_bytes) {
    PAN_FRONT(selected_attention_backward)
    PAN_TRY(check_selected(op, stream, desc));
    PAN_FRONT_WORKSPACE(selected_attention_backward_workspace_size)
    const pan_array arrays[] = {
        pan_random_array(desc, random),
        PAN_INPUT(chosen, chosen_bytes(desc)),
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
    return ops->selected_attention_backward(stream, desc, random, chosen, q, k, v, o, lse, d_o, dq, dk, dv, workspace,
                                            workspace_bytes);
}

static pan_status check_earlier_occurrences(const char *op, const pan_stream *stream,
                                            const pan_earlier_occurrences_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_int32_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "count", desc->count));
    PAN_TRY(pan_check_stride(op, "ids_stride", desc->ids_stride, desc->length));
    PAN_TRY(pan_check_extent(op, "ids", desc->batch, desc->ids_stride));
    if (desc->count > desc->length) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: count is %lld; expected at most the length %lld", op,
                        (long long) desc->count, (long long) desc->length);
    }
    return PAN_OK;
}

pan_status pan_earlier_occurrences_workspace_size(pan_stream *stream, const pan_earlier_occurrences_desc *desc,
                                                  int64_t *bytes) {
    PAN_FRONT_SIZE(earlier_occurrences_workspace_size, check_earlier_occurrences)
}

pan_status pan_earlier_occurrences(pan_stream *stream, const pan_earlier_occurrences_desc *desc, const int32_t *ids,
                                   void *y, void *workspace, int64_t workspace_bytes) {
    PAN_FRONT(earlier_occurrences)
    PAN_TRY(check_earlier_occurrences(op, stream, desc));
    PAN_FRONT_WORKSPACE(earlier_occurrences_workspace_size)
    const int64_t element = pan_element_bytes(desc->dtype);
    const pan_array arrays[] = {
        PAN_INTEGER_INPUT(ids, pan_extent(desc->batch, desc->ids_stride, desc->length, 4)),
        PAN_OUTPUT(y, pan_product(desc->batch, desc->count, element)),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), element));
    return ops->earlier_occurrences(stream, desc, ids, y, workspace, workspace_bytes);
}
