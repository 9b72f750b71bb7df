// The chosen positions of selected attention.
#include "chosen_positions.cuh"

namespace {

struct list_job {
    int64_t batch, length;
    const float *chosen;
    int32_t *list, *count;
};

constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;

// A block goes along a sequence. What a thread finds comes behind what the threads in front of it have found.
__global__ void __launch_bounds__(BLOCK_THREADS) list_kernel(list_job job) {
    __shared__ int32_t found[WARPS];
    const int warp = static_cast<int>(threadIdx.x) / WARP_THREADS, lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    for (int64_t sequence = blockIdx.x; sequence < job.batch; sequence += gridDim.x) {
        int32_t before = 0;
        for (int64_t first = 0; first < job.length; first += BLOCK_THREADS) {
            const int64_t position = first + threadIdx.x;
            const bool is_chosen = position < job.length && job.chosen[sequence * job.length + position] != 0.0f;
            const unsigned votes = __ballot_sync(WHOLE_WARP, is_chosen);
            __syncthreads(); // the numbers may still be read
            if (lane == 0) {
                found[warp] = __popc(votes);
            }
            __syncthreads();
            int32_t place = before + __popc(votes & ((1u << lane) - 1));
            for (int w = 0; w < WARPS; w++) {
                place += w < warp ? found[w] : 0;
                before += found[w];
            }
            if (is_chosen) {
                job.list[sequence * job.length + place] = static_cast<int32_t>(position);
            }
        }
        if (threadIdx.x == 0) {
            job.count[sequence] = before;
        }
    }
}

struct clear_row {
    pan_attention_desc desc;
    const float *chosen;
    float *x;
    pan_head_layout layout;
    float *lse;

    // Of a head and position, as lse has them.
    template <int TEAM> __device__ void row(int64_t statistic) const {
        const int64_t head = statistic / desc.length, t = statistic % desc.length, b = head / desc.heads;
        if (chosen[b * desc.length + t] != 0.0f) {
            return;
        }
        float *const target =
            x + b * layout.batch_stride + head % desc.heads * layout.head_stride + t * layout.length_stride;
        for (int64_t c = threadIdx.x; c < desc.head_dim; c += TEAM) {
            target[c] = 0.0f;
        }
        if (lse != nullptr && threadIdx.x == 0) {
            lse[statistic] = -INFINITY;
        }
    }
};

int64_t list_bytes(const pan_attention_desc *desc) {
    return align_up(desc->batch * desc->length * static_cast<int64_t>(sizeof(int32_t)));
}

} // namespace

int64_t chosen_bytes(const pan_attention_desc *desc) {
    return list_bytes(desc) + align_up(desc->batch * static_cast<int64_t>(sizeof(int32_t)));
}

pan_status list_chosen(const pan_stream *stream, const char *op, const pan_attention_desc *desc, const float *chosen,
                       void *workspace, chosen_positions *lists) {
    auto *const list = static_cast<int32_t *>(workspace);
    auto *const count = reinterpret_cast<int32_t *>(static_cast<char *>(workspace) + list_bytes(desc));
    *lists = {list, count};
    return launch(stream, op, desc->batch, desc->length, {blocks_for(desc->batch), BLOCK_THREADS}, list_kernel,
                  list_job{desc->batch, desc->length, chosen, list, count});
}

pan_status clear_unchosen(const pan_stream *stream, const char *op, const pan_attention_desc *desc, const float *chosen,
                          float *x, const pan_head_layout &layout, float *lse) {
    return for_each_row(stream, op, desc->batch * desc->heads * desc->length, desc->head_dim,
                        clear_row{*desc, chosen, x, layout, lse});
}
