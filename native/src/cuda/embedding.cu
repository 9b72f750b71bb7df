// Token and position embedding.
#include "block.cuh"

namespace {

struct embedding_ids {
    const int32_t *ids;
    int64_t vocab_size;
    cuda_report *report;

    // The id, or -1 if it is not in the vocabulary, which is then reported.
    __device__ int64_t at(int64_t row) const {
        const int64_t id = ids[row];
        if (id < 0 || id >= vocab_size) {
            *report = make_report(REPORT_EMBEDDING_ID, row);
            return -1;
        }
        return id;
    }
};

struct embedding_row {
    embedding_ids ids;
    const float *table, *position_table;
    float *y;
    int64_t length, channels;

    template <int TEAM> __device__ void row(int64_t r) const {
        const int64_t id = ids.at(r);
        for (int64_t c = threadIdx.x; c < channels; c += TEAM) {
            const float token = id < 0 ? 0.0f : table[id * channels + c];
            const float position = position_table == nullptr ? 0.0f : position_table[r % length * channels + c];
            y[r * channels + c] = token + position;
        }
    }
};

struct position_gradient_element {
    const float *dy;
    float *dposition_table;
    int64_t batch, count; // elements of an example

    __device__ void operator()(int64_t i) const {
        double sum = 0.0;
        for (int64_t b = 0; b < batch; b++) {
            sum += dy[b * count + i];
        }
        dposition_table[i] = static_cast<float>(dposition_table[i] + sum);
    }
};

// A block owns some tokens and some channels: it looks through all ids and adds up the rows of its own tokens, in their
// order, so that the sums do not depend on which block or thread is faster.
constexpr int OWN_TOKENS = 32;
constexpr int OWN_CHANNELS = 128;
constexpr int AHEAD = 8; // rows that are read before they are added
constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;

struct token_match {
    int64_t row;
    int token; // of the block's
};

// Rows of the block's tokens among the next BLOCK_THREADS, in order. Every thread looks at one.
__device__ int collect_matches(const embedding_ids &ids, int64_t first_row, int64_t rows, int64_t first_token,
                               token_match *matches) {
    __shared__ int warp_count[WARPS];
    const int64_t row = first_row + threadIdx.x;
    const int warp = static_cast<int>(threadIdx.x) / WARP_THREADS, lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    const int64_t token = row < rows ? ids.at(row) - first_token : -1;
    const bool own = token >= 0 && token < OWN_TOKENS;
    const unsigned ballot = __ballot_sync(WHOLE_WARP, own);
    if (lane == 0) {
        warp_count[warp] = __popc(ballot);
    }
    __syncthreads();
    int place = __popc(ballot & ((1u << lane) - 1)), count = 0;
    for (int w = 0; w < WARPS; w++) {
        place += w < warp ? warp_count[w] : 0;
        count += warp_count[w];
    }
    if (own) {
        matches[place] = {row, static_cast<int>(token)};
    }
    __syncthreads();
    return count;
}

struct table_gradient {
    embedding_ids ids;
    int64_t rows, channels;
    const float *dy;
    float *dtable;
};

// Adds the next rows, in order; they are on their way together.
__device__ void add_rows(const table_gradient &g, const token_match *matches, int count, int64_t channel,
                         float (*sums)[OWN_CHANNELS]) {
    float values[AHEAD];
#pragma unroll
    for (int k = 0; k < AHEAD; k++) {
        values[k] = k < count ? g.dy[matches[k].row * g.channels + channel] : 0.0f;
    }
#pragma unroll
    for (int k = 0; k < AHEAD; k++) {
        if (k < count) {
            sums[matches[k].token][threadIdx.x] += values[k];
        }
    }
}

// The block's tokens and channels; all of its threads are here.
__device__ void add_tokens(const table_gradient &g, int64_t first_token, int64_t first_channel) {
    __shared__ token_match matches[BLOCK_THREADS];
    __shared__ float sums[OWN_TOKENS][OWN_CHANNELS];
    const int64_t channel = first_channel + threadIdx.x;
    const bool adds = threadIdx.x < OWN_CHANNELS && channel < g.channels;
    for (int token = 0; token < OWN_TOKENS && adds; token++) {
        sums[token][threadIdx.x] = 0.0f;
    }
    for (int64_t first = 0; first < g.rows; first += BLOCK_THREADS) {
        const int count = collect_matches(g.ids, first, g.rows, first_token, matches);
        for (int i = 0; i < count && adds; i += AHEAD) {
            add_rows(g, matches + i, count - i, channel, sums);
        }
    }
    for (int token = 0; token < OWN_TOKENS && adds && first_token + token < g.ids.vocab_size; token++) {
        g.dtable[(first_token + token) * g.channels + channel] += sums[token][threadIdx.x];
    }
}

__global__ void __launch_bounds__(BLOCK_THREADS) table_gradient_kernel(table_gradient gradient) {
    const int64_t token_step = static_cast<int64_t>(gridDim.x) * OWN_TOKENS;
    const int64_t channel_step = static_cast<int64_t>(gridDim.y) * OWN_CHANNELS;
    for (int64_t token = static_cast<int64_t>(blockIdx.x) * OWN_TOKENS; token < gradient.ids.vocab_size;
         token += token_step) {
        for (int64_t channel = static_cast<int64_t>(blockIdx.y) * OWN_CHANNELS; channel < gradient.channels;
             channel += channel_step) {
            add_tokens(gradient, token, channel);
        }
    }
}

} // namespace

pan_status cuda_embedding_forward(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                  const float *table, const float *position_table, void *y) {
    return for_each_row(stream, "embedding_forward", desc->batch * desc->length, desc->channels,
                        embedding_row{{ids, desc->vocab_size, state_of(stream)->device->report},
                                      table,
                                      position_table,
                                      static_cast<float *>(y),
                                      desc->length,
                                      desc->channels});
}

pan_status cuda_embedding_backward(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                   const void *dy_, float *dtable, float *dposition_table) {
    static const char op[] = "embedding_backward";
    const int64_t rows = desc->batch * desc->length;
    const auto *dy = static_cast<const float *>(dy_);
    if (dtable != nullptr) {
        const int64_t across = ceil_div(desc->channels, OWN_CHANNELS);
        const dim3 grid(blocks_for(ceil_div(desc->vocab_size, OWN_TOKENS)),
                        static_cast<unsigned>(across < MAX_GRID_YZ ? across : MAX_GRID_YZ));
        CUDA_TRY(
            launch(stream, op, rows, desc->channels, {grid, dim3(BLOCK_THREADS)}, table_gradient_kernel,
                   table_gradient{
                       {ids, desc->vocab_size, state_of(stream)->device->report}, rows, desc->channels, dy, dtable}));
    }
    return dposition_table == nullptr
               ? PAN_OK
               : for_each(stream, op, desc->length, desc->channels,
                          position_gradient_element{dy, dposition_table, desc->batch, desc->length * desc->channels});
}
