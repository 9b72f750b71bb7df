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

// A block owns some tokens and some channels: it looks through all ids and adds up the rows of its own tokens. Its
// threads form groups of one thread for each channel, which share the rows by their places, because a token can fill most
// of a batch; their sums are added in the end. So the order of a sum depends on the shape alone.
constexpr int OWN_TOKENS = 32;
constexpr int MOST_OWN_CHANNELS = 128, FEWEST_OWN_CHANNELS = WARP_THREADS;
constexpr int AHEAD = 8; // rows that are read before they are added
constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;

struct token_match {
    int64_t row;
    int token; // of the block's
};

// Which of the block's matches a group adds.
struct match_range {
    int begin, end;
};

// Rows of the block's tokens among the next BLOCK_THREADS, in order, and those of the thread's group, to which the rows
// of `group_warps` warps belong. Every thread looks at one.
__device__ match_range collect_matches(const embedding_ids &ids, int64_t first_row, int64_t rows, int64_t first_token,
                                       int group_warps, token_match *matches) {
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
    const int first_warp = warp / group_warps * group_warps;
    int place = __popc(ballot & ((1u << lane) - 1));
    match_range range = {0, 0};
    for (int w = 0; w < WARPS; w++) {
        place += w < warp ? warp_count[w] : 0;
        range.begin += w < first_warp ? warp_count[w] : 0;
        range.end += w < first_warp + group_warps ? warp_count[w] : 0;
    }
    if (own) {
        matches[place] = {row, static_cast<int>(token)};
    }
    __syncthreads();
    return range;
}

struct table_gradient {
    embedding_ids ids;
    int64_t rows, channels;
    int own_channels; // of a block: a power of two
    const float *dy;
    float *dtable;
};

// Of each thread and each of the block's tokens.
using token_sums = float[OWN_TOKENS][BLOCK_THREADS];

// Adds the next rows, in order; they are on their way together.
__device__ void add_rows(const table_gradient &g, const token_match *matches, int count, int64_t channel,
                         token_sums &sums) {
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
    __shared__ token_sums sums;
    const int own = static_cast<int>(threadIdx.x) % g.own_channels;
    const int group = static_cast<int>(threadIdx.x) / g.own_channels, groups = BLOCK_THREADS / g.own_channels;
    const int64_t channel = first_channel + own;
    for (int token = 0; token < OWN_TOKENS; token++) {
        sums[token][threadIdx.x] = 0.0f;
    }
    for (int64_t first = 0; first < g.rows; first += BLOCK_THREADS) {
        const match_range range =
            collect_matches(g.ids, first, g.rows, first_token, g.own_channels / WARP_THREADS, matches);
        for (int i = range.begin; i < range.end && channel < g.channels; i += AHEAD) {
            add_rows(g, matches + i, range.end - i, channel, sums);
        }
    }
    __syncthreads();
    for (int token = group; token < OWN_TOKENS; token += groups) {
        float sum = 0.0f;
        for (int k = 0; k < groups; k++) {
            sum += sums[token][k * g.own_channels + own];
        }
        if (channel < g.channels && first_token + token < g.ids.vocab_size) {
            g.dtable[(first_token + token) * g.channels + channel] += sum;
        }
    }
    __syncthreads(); // before the sums of the next tokens or channels begin
}

__global__ void __launch_bounds__(BLOCK_THREADS) table_gradient_kernel(table_gradient gradient) {
    const int64_t token_step = static_cast<int64_t>(gridDim.x) * OWN_TOKENS;
    const int64_t channel_step = static_cast<int64_t>(gridDim.y) * gradient.own_channels;
    for (int64_t token = static_cast<int64_t>(blockIdx.x) * OWN_TOKENS; token < gradient.ids.vocab_size;
         token += token_step) {
        for (int64_t channel = static_cast<int64_t>(blockIdx.y) * gradient.own_channels; channel < gradient.channels;
             channel += channel_step) {
            add_tokens(gradient, token, channel);
        }
    }
}

int own_channels_of(int64_t channels) {
    int own = FEWEST_OWN_CHANNELS;
    while (own < MOST_OWN_CHANNELS && own < channels) {
        own *= 2;
    }
    return own;
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
        const int own_channels = own_channels_of(desc->channels);
        const int64_t across = ceil_div(desc->channels, own_channels);
        const dim3 grid(blocks_for(ceil_div(desc->vocab_size, OWN_TOKENS)),
                        static_cast<unsigned>(across < MAX_GRID_YZ ? across : MAX_GRID_YZ));
        const table_gradient gradient = {
            {ids, desc->vocab_size, state_of(stream)->device->report}, rows, desc->channels, own_channels, dy, dtable};
        CUDA_TRY(
            launch(stream, op, rows, desc->channels, {grid, dim3(BLOCK_THREADS)}, table_gradient_kernel, gradient));
    }
    return dposition_table == nullptr
               ? PAN_OK
               : for_each(stream, op, desc->length, desc->channels,
                          position_gradient_element{dy, dposition_table, desc->batch, desc->length * desc->channels});
}
