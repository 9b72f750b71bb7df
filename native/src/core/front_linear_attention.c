/* Public functions of linear attention. */
#include "front_heads.h"
#include "linear_attention.h"

static head_sizes feature_sizes(const pan_linear_attention_desc *desc) {
    return (head_sizes){desc->batch, desc->length, desc->heads, desc->feature_dim, false};
}

static head_sizes value_sizes(const pan_linear_attention_desc *desc) {
    return (head_sizes){desc->batch, desc->length, desc->heads, desc->value_dim, false};
}

/* Elements of the state of all heads; -1 on overflow. */
static int64_t state_count(const pan_linear_attention_desc *desc) {
    const int64_t f = desc->feature_dim;
    int64_t features = f;
    if (desc->features == PAN_FEATURES_TAYLOR) {
        if (pan_product(f, f + 1, 1) < 0) {
            return -1;
        }
        features = pan_feature_count(desc->features, f);
    }
    const int64_t heads = pan_product(desc->batch, desc->heads, 1);
    return heads < 0 ? -1 : pan_product(heads, features, desc->value_dim + 1);
}

static pan_status check_linear_attention(const char *op, const pan_stream *stream,
                                         const pan_linear_attention_desc *desc) {
    PAN_TRY(pan_check_desc(op, stream, desc, sizeof *desc, desc->dtype));
    PAN_TRY(pan_check_kind(op, "features", desc->features, PAN_FEATURES_COUNT));
    PAN_TRY(pan_check_kind(op, "normalised", desc->normalised, 2));
    PAN_TRY(pan_check_reserved(op, desc->reserved));
    if (!(desc->epsilon >= 0.0f)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: epsilon is %g; expected >= 0", op, (double) desc->epsilon);
    }
    PAN_TRY(pan_check_size(op, "batch", desc->batch));
    PAN_TRY(pan_check_size(op, "heads", desc->heads));
    PAN_TRY(pan_check_size(op, "length", desc->length));
    PAN_TRY(pan_check_size(op, "feature_dim", desc->feature_dim));
    PAN_TRY(pan_check_size(op, "value_dim", desc->value_dim));
    const int64_t rows = pan_product(desc->batch, desc->heads, desc->length);
    if (rows < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of denominator overflows", op);
    }
    const int64_t state = state_count(desc);
    if (state < 0) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: the size of the state overflows", op);
    }
    PAN_TRY(pan_check_extent(op, "q", rows, desc->feature_dim));
    PAN_TRY(pan_check_extent(op, "v", rows, desc->value_dim));
    PAN_TRY(pan_check_extent(op, "the state", state, 1));
    PAN_TRY(pan_check_layout(op, "q", feature_sizes(desc), &desc->q));
    PAN_TRY(pan_check_layout(op, "k", feature_sizes(desc), &desc->k));
    PAN_TRY(pan_check_layout(op, "v", value_sizes(desc), &desc->v));
    return pan_check_layout(op, "o", value_sizes(desc), &desc->o);
}

static pan_array feature_array(const pan_linear_attention_desc *desc, const char *name, const void *address,
                               const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, feature_sizes(desc), layout, flags);
}

static pan_array value_array(const pan_linear_attention_desc *desc, const char *name, const void *address,
                             const pan_head_layout *layout, int32_t flags) {
    return pan_head_array(desc->dtype, name, address, value_sizes(desc), layout, flags);
}

/* The denominators exist exactly where there is a division. */
static pan_status check_denominator(const char *op, const pan_linear_attention_desc *desc, const float *denominator) {
    if ((denominator != NULL) != (desc->normalised != 0)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: denominator is %s but desc.normalised is %d", op,
                        denominator == NULL ? "NULL" : "given", desc->normalised);
    }
    return PAN_OK;
}

static int64_t denominator_bytes(const pan_stream *stream, const pan_linear_attention_desc *desc) {
    return desc->batch * desc->heads * desc->length * pan_real_bytes(stream);
}

pan_status pan_linear_attention_state_size(pan_stream *stream, const pan_linear_attention_desc *desc, int64_t *bytes) {
    PAN_FRONT_SIZE(linear_attention_state_size, check_linear_attention)
}

pan_status pan_linear_attention_forward_workspace_size(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                       int64_t *bytes) {
    PAN_FRONT_SIZE(linear_attention_forward_workspace_size, check_linear_attention)
}

pan_status pan_linear_attention_forward(pan_stream *stream, const pan_linear_attention_desc *desc, const void *q,
                                        const void *k, const void *v, const float *initial_state, void *o,
                                        float *denominator, float *final_state, void *workspace,
                                        int64_t workspace_bytes) {
    PAN_FRONT(linear_attention_forward)
    PAN_TRY(check_linear_attention(op, stream, desc));
    PAN_TRY(check_denominator(op, desc, denominator));
    PAN_FRONT_WORKSPACE(linear_attention_forward_workspace_size)
    const int64_t state_bytes = state_count(desc) * pan_real_bytes(stream);
    const pan_array arrays[] = {
        feature_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        feature_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        value_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        PAN_OPTIONAL_INPUT(initial_state, state_bytes),
        value_array(desc, "o", o, &desc->o, PAN_ARRAY_OUTPUT),
        PAN_OPTIONAL_OUTPUT(denominator, denominator_bytes(stream, desc)),
        PAN_OPTIONAL_OUTPUT(final_state, state_bytes, "initial_state"),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->linear_attention_forward(stream, desc, q, k, v, initial_state, o, denominator, final_state, workspace,
                                         workspace_bytes);
}

pan_status pan_linear_attention_backward_workspace_size(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                        int64_t *bytes) {
    PAN_FRONT_SIZE(linear_attention_backward_workspace_size, check_linear_attention)
}

pan_status pan_linear_attention_backward(pan_stream *stream, const pan_linear_attention_desc *desc, const void *q,
                                         const void *k, const void *v, const void *o, const float *denominator,
                                         const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                         int64_t workspace_bytes) {
    PAN_FRONT(linear_attention_backward)
    PAN_TRY(check_linear_attention(op, stream, desc));
    PAN_TRY(check_denominator(op, desc, denominator));
    PAN_FRONT_WORKSPACE(linear_attention_backward_workspace_size)
    const pan_array arrays[] = {
        feature_array(desc, "q", q, &desc->q, PAN_ARRAY_INPUT),
        feature_array(desc, "k", k, &desc->k, PAN_ARRAY_INPUT),
        value_array(desc, "v", v, &desc->v, PAN_ARRAY_INPUT),
        value_array(desc, "o", o, &desc->o, PAN_ARRAY_INPUT),
        PAN_OPTIONAL_INPUT(denominator, denominator_bytes(stream, desc)),
        value_array(desc, "d_o", d_o, &desc->o, PAN_ARRAY_INPUT),
        feature_array(desc, "dq", dq, &desc->q, PAN_ARRAY_OUTPUT),
        feature_array(desc, "dk", dk, &desc->k, PAN_ARRAY_OUTPUT),
        value_array(desc, "dv", dv, &desc->v, PAN_ARRAY_OUTPUT),
        PAN_WORKSPACE,
    };
    PAN_TRY(pan_check_arrays(op, arrays, PAN_COUNT(arrays), pan_element_bytes(desc->dtype)));
    return ops->linear_attention_backward(stream, desc, q, k, v, o, denominator, d_o, dq, dk, dv, workspace,
                                          workspace_bytes);
}
