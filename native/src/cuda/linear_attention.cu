// Causal linear attention: pairs within chunks, and states of chunks.
#include "linear_attention.cuh"

namespace {

// The arrays of a call.
struct linear_arrays {
    head_array q, k;
    head_array values; // (v | 1)
};

linear_arrays arrays_of(const linear_shape &shape, const void *q, const void *k, const void *v) {
    const pan_linear_attention_desc &desc = shape.desc;
    return {{static_cast<const float *>(q), desc.q, desc.feature_dim, false},
            {static_cast<const float *>(k), desc.k, desc.feature_dim, false},
            {static_cast<const float *>(v), desc.v, desc.value_dim, true}};
}

int64_t floats_bytes(int64_t count) {
    return align_up(count * static_cast<int64_t>(sizeof(float)));
}

int64_t states_bytes(const linear_shape &shape) {
    return floats_bytes(shape.heads * shape.chunks * state_elements(shape));
}

// Of rows of `columns` for every position of every head.
int64_t rows_bytes(const linear_shape &shape, int64_t columns) {
    return floats_bytes(shape.heads * shape.desc.length * columns);
}

float *behind(void *workspace, int64_t bytes) {
    return reinterpret_cast<float *>(static_cast<unsigned char *>(workspace) + bytes);
}

pan_status scan(const pan_stream *stream, const char *op, const linear_shape &shape, float *state, bool reverse,
                const float *initial, float *final) {
    return for_each(stream, op, shape.heads, state_elements(shape),
                    scan_states{state_elements(shape), shape.chunks, state, reverse, initial, final});
}

// o = the sums, divided by their last column if normalised.
struct divide_rows {
    linear_shape shape;
    const float *sums; // (heads, length, columns)
    head_target o;
    float *denominator;

    __device__ void operator()(int64_t i) const {
        const int64_t row = i / shape.desc.value_dim, c = i % shape.desc.value_dim;
        const float *const own = sums + row * shape.columns;
        float value = own[c];
        if (denominator != nullptr) {
            const float divisor = own[shape.desc.value_dim] + shape.desc.epsilon;
            value /= divisor;
            if (c == 0) {
                denominator[row] = divisor;
            }
        }
        o.put(shape, row / shape.desc.length, row % shape.desc.length, c, value);
    }
};

// (g | -e) of each query.
struct slope_rows {
    linear_shape shape;
    head_array o, d_o;
    const float *denominator;
    float *slopes; // (heads, length, columns)

    template <int TEAM> __device__ void row(int64_t r) const {
        const int64_t head = r / shape.desc.length, t = r % shape.desc.length;
        const head_view output = o.of(shape, head), gradient = d_o.of(shape, head);
        const float factor = denominator == nullptr ? 1.0f : 1.0f / denominator[r];
        float along = 0.0f;
        for (int64_t c = threadIdx.x; c < shape.desc.value_dim; c += TEAM) {
            const float g = factor * gradient.at(t, c);
            along = fmaf(g, output.at(t, c), along);
            slopes[r * shape.columns + c] = g;
        }
        along = team_reduce<TEAM>(along, plus());
        if (threadIdx.x == 0) {
            slopes[r * shape.columns + shape.desc.value_dim] = denominator == nullptr ? 0.0f : -along;
        }
    }
};

// From the gradient of the features PAN_FEATURES_TAYLOR to that of what they are made of.
struct differentiate_features {
    linear_shape shape;
    head_array x;
    const float *slopes; // (heads, length, features)
    head_target target;

    __device__ void operator()(int64_t index) const {
        const int64_t f = shape.desc.feature_dim, row = index / f, i = index % f;
        const int64_t head = row / shape.desc.length, t = row % shape.desc.length;
        const head_view own = x.of(shape, head);
        const float *const slope = slopes + row * shape.features;
        float sum = shape.single * slope[1 + i];
        for (int64_t j = 0; j < f; j++) {
            const int64_t low = i < j ? i : j, high = i < j ? j : i;
            const float factor = i == j ? 2.0f * shape.square : shape.pair;
            sum = fmaf(factor * slope[pan_pair_feature(f, low) + high - low], own.at(t, j), sum);
        }
        target.put(shape, head, t, i, sum);
    }
};

// The gradient of q or k through its features, whose gradient is y state^T.
pan_status differentiate_state(const pan_stream *stream, const char *op, const linear_shape &shape, const head_array &x,
                               const head_array &y, const float *state, const head_target &target,
                               float *feature_slopes) {
    if (shape.desc.features == PAN_FEATURES_GIVEN) {
        return apply_states<true>(stream, op, {shape, y, state, target});
    }
    const head_target slopes = {feature_slopes, work_layout(shape, shape.features), shape.features, false};
    CUDA_TRY(apply_states<true>(stream, op, {shape, y, state, slopes}));
    return for_each(stream, op, shape.heads * shape.desc.length, shape.desc.feature_dim,
                    differentiate_features{shape, x, feature_slopes, target});
}

} // namespace

pan_status cuda_linear_attention_state_size(pan_stream *, const pan_linear_attention_desc *desc, int64_t *bytes) {
    const linear_shape shape = make_linear_shape(desc);
    *bytes = shape.heads * state_elements(shape) * static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

// The rows' sums, and a state of each chunk.
pan_status cuda_linear_attention_forward_workspace_size(pan_stream *, const pan_linear_attention_desc *desc,
                                                        int64_t *bytes) {
    const linear_shape shape = make_linear_shape(desc);
    *bytes = rows_bytes(shape, shape.columns) + states_bytes(shape);
    return PAN_OK;
}

pan_status cuda_linear_attention_forward(pan_stream *stream, const pan_linear_attention_desc *desc, const void *q,
                                         const void *k, const void *v, const float *initial_state, void *o,
                                         float *denominator, float *final_state, void *workspace, int64_t) {
    static const char op[] = "linear_attention_forward";
    const linear_shape shape = make_linear_shape(desc);
    const linear_arrays in = arrays_of(shape, q, k, v);
    float *const rows = static_cast<float *>(workspace);
    float *const state = behind(workspace, rows_bytes(shape, shape.columns));
    head_target sums = {rows, work_layout(shape, shape.columns), shape.columns, false};
    if (shape.chunks > 1 || initial_state != nullptr || final_state != nullptr) {
        CUDA_TRY(sum_states(stream, op, {shape, in.k, in.values, state}));
        CUDA_TRY(scan(stream, op, shape, state, false, initial_state, final_state));
    }
    if (shape.chunks > 1 || initial_state != nullptr) {
        CUDA_TRY(apply_states<false>(stream, op, {shape, in.q, state, sums}));
        sums.add = true;
    }
    CUDA_TRY(sum_pairs<pair_kind::WEIGHT>(stream, op,
                                          {shape, in.q, in.k, in.values, in.values, in.values, nullptr, false, sums}));
    const head_target output = {static_cast<float *>(o), desc->o, desc->value_dim, false};
    return for_each(stream, op, shape.heads * desc->length, desc->value_dim,
                    divide_rows{shape, rows, output, denominator});
}

// (g | -e); with several chunks, a state of each and the gradients of the features.
pan_status cuda_linear_attention_backward_workspace_size(pan_stream *, const pan_linear_attention_desc *desc,
                                                         int64_t *bytes) {
    const linear_shape shape = make_linear_shape(desc);
    const bool taylor = desc->features == PAN_FEATURES_TAYLOR;
    *bytes = rows_bytes(shape, shape.columns);
    if (shape.chunks > 1) {
        *bytes += states_bytes(shape) + (taylor ? rows_bytes(shape, shape.features) : 0);
    }
    return PAN_OK;
}

pan_status cuda_linear_attention_backward(pan_stream *stream, const pan_linear_attention_desc *desc, const void *q,
                                          const void *k, const void *v, const void *o, const float *denominator,
                                          const void *d_o, void *dq, void *dk, void *dv, void *workspace, int64_t) {
    static const char op[] = "linear_attention_backward";
    const linear_shape shape = make_linear_shape(desc);
    const linear_arrays in = arrays_of(shape, q, k, v);
    const bool several = shape.chunks > 1;
    float *const slopes = static_cast<float *>(workspace);
    float *const state = behind(workspace, rows_bytes(shape, shape.columns));
    float *const feature_slopes = several ? behind(state, states_bytes(shape)) : nullptr;
    const head_array slope_array = {slopes, work_layout(shape, shape.columns), shape.columns, false};
    head_target queries = {static_cast<float *>(dq), desc->q, desc->feature_dim, false};
    head_target keys = {static_cast<float *>(dk), desc->k, desc->feature_dim, false};
    head_target values = {static_cast<float *>(dv), desc->v, desc->value_dim, false};
    const head_array output = {static_cast<const float *>(o), desc->o, desc->value_dim, false};
    const head_array gradient = {static_cast<const float *>(d_o), desc->o, desc->value_dim, false};
    CUDA_TRY(for_each_row(stream, op, shape.heads * desc->length, desc->value_dim,
                          slope_rows{shape, output, gradient, denominator, slopes}));
    if (several) {
        CUDA_TRY(sum_states(stream, op, {shape, in.k, in.values, state}));
        CUDA_TRY(scan(stream, op, shape, state, false, nullptr, nullptr));
        CUDA_TRY(differentiate_state(stream, op, shape, in.q, slope_array, state, queries, feature_slopes));
        CUDA_TRY(sum_states(stream, op, {shape, in.q, slope_array, state}));
        CUDA_TRY(scan(stream, op, shape, state, true, nullptr, nullptr));
        CUDA_TRY(differentiate_state(stream, op, shape, in.k, in.values, state, keys, feature_slopes));
        CUDA_TRY(apply_states<false>(stream, op, {shape, in.k, state, values}));
        queries.add = keys.add = values.add = true;
    }
    CUDA_TRY(sum_pairs<pair_kind::SLOPE>(
        stream, op, {shape, in.q, in.k, in.k, in.values, slope_array, denominator, false, queries}));
    CUDA_TRY(sum_pairs<pair_kind::SLOPE>(stream, op,
                                         {shape, in.q, in.k, in.q, in.values, slope_array, denominator, true, keys}));
    return sum_pairs<pair_kind::WEIGHT>(
        stream, op, {shape, in.q, in.k, slope_array, in.values, slope_array, denominator, true, values});
}
