// One attention from the attentions over two sets of keys: a team of threads for each row of o.
#include "block.cuh"

namespace {

// Row r of lse is (b, h, t).
struct merge_shape {
    int64_t length, heads, head_dim;

    __device__ int64_t offset(int64_t r) const {
        const int64_t t = r % length, head = r / length;
        return ((head / heads * length + t) * heads + head % heads) * head_dim;
    }
};

// Of the two, 0 of sets without keys; and log(exp(lse1) + exp(lse2)).
struct merge_weights {
    float first, second, lse;
};

__device__ merge_weights weights_of(float lse1, float lse2) {
    const bool order = lse1 > lse2 || lse1 != lse1; // a NaN is the larger one
    const float large = order ? lse1 : lse2, small = order ? lse2 : lse1;
    if (large == -INFINITY) {
        return {0.0f, 0.0f, large};
    }
    const float e = expf(small - large), one = 1.0f / (1.0f + e);
    return {order ? one : e * one, order ? e * one : one, large + log1pf(e)};
}

// weight * x, where what has no weight does not count whatever it is.
__device__ float weighted(float weight, float x) {
    return weight == 0.0f ? 0.0f : weight * x;
}

struct merge_row {
    merge_shape shape;
    const float *o1, *lse1, *o2, *lse2;
    float *o, *lse;

    template <int TEAM> __device__ void row(int64_t r) const {
        const int64_t at = shape.offset(r);
        const merge_weights weights = weights_of(lse1[r], lse2[r]);
        for (int64_t c = at + threadIdx.x; c < at + shape.head_dim; c += TEAM) {
            o[c] = weighted(weights.first, o1[c]) + weighted(weights.second, o2[c]);
        }
        if (threadIdx.x == 0) {
            lse[r] = weights.lse;
        }
    }
};

// One of the two, and its gradients.
struct merge_part {
    const float *o, *lse;
    float *d_o, *d_lse;
};

struct merge_backward_row {
    merge_shape shape;
    merge_part first, second;
    const float *o, *d_o, *d_lse;

    template <int TEAM> __device__ void row(int64_t r) const {
        const merge_weights weights = weights_of(first.lse[r], second.lse[r]);
        differentiate<TEAM>(r, first, weights.first);
        differentiate<TEAM>(r, second, weights.second);
    }

    template <int TEAM> __device__ void differentiate(int64_t r, const merge_part &part, float weight) const {
        const int64_t at = shape.offset(r);
        float sum = 0.0f;
        for (int64_t c = at + threadIdx.x; c < at + shape.head_dim; c += TEAM) {
            sum += weighted(weight, d_o[c] * (part.o[c] - o[c]));
            part.d_o[c] = weighted(weight, d_o[c]);
        }
        sum = team_reduce<TEAM>(sum, plus());
        if (threadIdx.x == 0) {
            part.d_lse[r] = sum + (d_lse == nullptr ? 0.0f : weighted(weight, d_lse[r]));
        }
    }
};

template <typename Row>
pan_status for_rows(const pan_stream *stream, const char *op, const pan_attention_merge_desc *desc, const Row &row) {
    return for_each_row(stream, op, desc->batch * desc->heads * desc->length, desc->head_dim, row);
}

merge_shape shape_of(const pan_attention_merge_desc *desc) {
    return {desc->length, desc->heads, desc->head_dim};
}

} // namespace

pan_status cuda_attention_merge_forward(pan_stream *stream, const pan_attention_merge_desc *desc, const void *o1,
                                        const float *lse1, const void *o2, const float *lse2, void *o, float *lse) {
    return for_rows(stream, "attention_merge_forward", desc,
                    merge_row{shape_of(desc), static_cast<const float *>(o1), lse1, static_cast<const float *>(o2),
                              lse2, static_cast<float *>(o), lse});
}

pan_status cuda_attention_merge_backward(pan_stream *stream, const pan_attention_merge_desc *desc, const void *o1,
                                         const float *lse1, const void *o2, const float *lse2, const void *o,
                                         const float *, const void *d_o, const float *d_lse, void *d_o1, float *d_lse1,
                                         void *d_o2, float *d_lse2) {
    const merge_part first = {static_cast<const float *>(o1), lse1, static_cast<float *>(d_o1), d_lse1};
    const merge_part second = {static_cast<const float *>(o2), lse2, static_cast<float *>(d_o2), d_lse2};
    return for_rows(stream, "attention_merge_backward", desc,
                    merge_backward_row{shape_of(desc), first, second, static_cast<const float *>(o),
                                       static_cast<const float *>(d_o), d_lse});
}
