// Which positions are among the k largest up to their own, by counting: a thread for each position, a block for
// neighbouring ones, which share the scores before them.
#include "../core/causal_top_k.h"
#include "block.cuh"

namespace {

struct top_k_job {
    pan_causal_top_k_desc desc;
    int64_t blocks; // of BLOCK_THREADS positions
    const float *score;
    float *chosen;
};

__global__ void __launch_bounds__(BLOCK_THREADS) top_k_kernel(top_k_job job) {
    __shared__ float part[BLOCK_THREADS];
    const pan_causal_top_k_desc &desc = job.desc;
    for (int64_t item = blockIdx.x; item < desc.batch * job.blocks; item += gridDim.x) {
        const float *const score = job.score + item / job.blocks * desc.length;
        const int64_t last = item % job.blocks * BLOCK_THREADS, t = last + threadIdx.x;
        const float own = t < desc.length ? score[t] : 0.0f;
        int64_t count = 0;
        for (int64_t first = 0; first <= last; first += BLOCK_THREADS) {
            __syncthreads(); // the part may still be read
            part[threadIdx.x] = first + threadIdx.x < desc.length ? score[first + threadIdx.x] : 0.0f;
            __syncthreads();
            const int before = first < last ? BLOCK_THREADS : static_cast<int>(threadIdx.x);
            for (int s = 0; s < before; s++) {
                count += part[s] >= own;
            }
        }
        if (t < desc.length) {
            const bool is_chosen = own > -INFINITY && count < pan_top_k_of_prefix(desc.k, t);
            job.chosen[item / job.blocks * desc.length + t] = is_chosen ? 1.0f : 0.0f;
        }
    }
}

} // namespace

pan_status cuda_causal_top_k_workspace_size(pan_stream *, const pan_causal_top_k_desc *, int64_t *bytes) {
    *bytes = 0;
    return PAN_OK;
}

pan_status cuda_causal_top_k(pan_stream *stream, const pan_causal_top_k_desc *desc, const void *score, void *chosen,
                             void *, int64_t) {
    const top_k_job job = {*desc, ceil_div(desc->length, BLOCK_THREADS), static_cast<const float *>(score),
                           static_cast<float *>(chosen)};
    return launch(stream, "causal_top_k", desc->batch, desc->length,
                  {blocks_for(desc->batch * job.blocks), BLOCK_THREADS}, top_k_kernel, job);
}
