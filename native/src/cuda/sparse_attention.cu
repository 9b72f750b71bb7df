// Sparse attention, forward: a warp for each query, whose lanes take keys for the scores and columns for the output.
#include "sparse_attention.cuh"

namespace {

struct forward_job {
    sparse_shape shape;
    const float *q, *k, *v;
    float *o, *lse;
};

// What a query's warp has summed up so far, relative to the largest score.
template <int COLUMNS> struct running_softmax {
    float max;
    float sum; // the lane's part
    float output[COLUMNS];

    // The weight of the lane's next score.
    __device__ float weigh(float score, bool visible) {
        const float top = warp_reduce(larger()(max, visible ? score : -INFINITY), larger());
        const float shift = score_shift(top);
        const float factor = top > max ? expf(score_shift(max) - shift) : 1.0f;
        max = top;
        sum *= factor;
        for (float &column : output) {
            column *= factor;
        }
        const float weight = visible ? expf(score - shift) : 0.0f;
        sum += weight;
        return weight;
    }
};

template <int COLUMNS> __device__ void forward_query(const forward_job &job, const warp_query &query) {
    const pan_sparse_attention_desc &desc = job.shape.desc;
    const float *const k = job.k + query.head.offset(desc.k), *const v = job.v + query.head.offset(desc.v);
    running_softmax<COLUMNS> softmax = {-INFINITY, 0.0f, {}};
    bool any = false;
    for_seen_keys(job.shape, query, [&](int64_t key, bool visible) {
        const float score =
            visible ? desc.scale * dot(job.q + query.q, k + key * desc.k.length_stride, desc.head_dim) : 0.0f;
        const float weight = softmax.weigh(score, visible);
        add_rows(softmax.output, v, desc.v.length_stride, desc.head_dim, query.first_column, key, weight, visible);
        any = true;
    });
    const float sum = warp_reduce(softmax.sum, plus());
    write_row(job.o + query.o, softmax.output, desc.head_dim, query.first_column, any ? 1.0f / sum : 1.0f);
    if (query.first_column == 0 && threadIdx.x == 0) {
        job.lse[query.statistic] = any ? score_shift(softmax.max) + logf(sum) : -INFINITY;
    }
}

template <int COLUMNS> __global__ void __launch_bounds__(BLOCK_THREADS) forward_kernel(forward_job job) {
    for (int64_t item = first_item(); item < warp_items(job.shape); item += item_step()) {
        forward_query<COLUMNS>(job, make_warp_query<COLUMNS>(job.shape, item));
    }
}

} // namespace

pan_status cuda_sparse_attention_forward_workspace_size(pan_stream *, const pan_sparse_attention_desc *,
                                                        int64_t *bytes) {
    *bytes = 0;
    return PAN_OK;
}

pan_status cuda_sparse_attention_forward(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                         const int32_t *blocks, const void *q, const void *k, const void *v, void *o,
                                         float *lse, void *, int64_t) {
    static const char op[] = "sparse_attention_forward";
    const forward_job job = {make_sparse_shape(desc, blocks), static_cast<const float *>(q),
                             static_cast<const float *>(k),   static_cast<const float *>(v),
                             static_cast<float *>(o),         lse};
    CUDA_TRY(report_bad_blocks(stream, op, desc->lists, desc->length, blocks, desc->first));
    const int columns = job.shape.columns;
    return launch_warps(stream, op,
                        columns == 1   ? forward_kernel<1>
                        : columns == 2 ? forward_kernel<2>
                                       : forward_kernel<4>,
                        job);
}
