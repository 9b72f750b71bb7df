// Cross entropy of a vocabulary head, backward. The labelled rows are taken in chunks, so that the gradients g of a
// chunk's logits fit a workspace of bounded size; from these come its rows of dhidden and its part of dweight. Formed
// once a chunk, g costs one product; formed by every block that needs it, it would cost one for every 64 channels.
//
// The host does not know how many rows are labelled: it launches for all rows, and kernels of chunks beyond them end at
// once.
#include "vocabulary_loss.cuh"

namespace {

// How rows and vocabulary are cut, by shapes alone.
struct backward_plan {
    int64_t chunk_rows; // a multiple of TILE
    int64_t chunks;
    int64_t stride;       // between rows of g
    int64_t groups;       // the vocabulary is cut into, for dhidden
    int64_t group_tokens; // a multiple of TILE
};

backward_plan make_plan(const pan_vocabulary_loss_desc *desc) {
    constexpr int64_t GRADIENT_FLOATS = 12 << 20, HIDDEN_FLOATS = 4 << 20; // 64 MB
    constexpr int64_t WANTED_ITEMS = 1024, LEAST_GROUP_TILES = 8;
    const int64_t tokens = ceil_div(desc->vocab_size, TILE);
    const int64_t row_tiles = ceil_div(desc->rows, TILE), channel_tiles = ceil_div(desc->channels, TILE);
    int64_t tiles = min(GRADIENT_FLOATS / (TILE * TILE) / tokens, HIDDEN_FLOATS / TILE / desc->channels);
    tiles = min(max(tiles, static_cast<int64_t>(1)), row_tiles);
    int64_t groups = min(WANTED_ITEMS / (tiles * channel_tiles), HIDDEN_FLOATS / (tiles * TILE * desc->channels));
    groups = max(min(groups, tokens / LEAST_GROUP_TILES), static_cast<int64_t>(1));
    const int64_t group_tiles = ceil_div(tokens, groups);
    return {tiles * TILE, ceil_div(row_tiles, tiles), tokens * TILE, ceil_div(tokens, group_tiles), group_tiles * TILE};
}

int64_t gradient_bytes(const backward_plan &plan) {
    return align_up(plan.chunk_rows * plan.stride * static_cast<int64_t>(sizeof(float)));
}

struct backward_job {
    labelled_rows rows;
    backward_plan plan;
    const float *hidden, *weight, *lse, *dloss;
    const int32_t *labelled_count;
    int64_t hidden_stride, channels;
    float *gradient;    // g: (chunk_rows, stride)
    float *hidden_sums; // (groups, chunk_rows, channels): the groups' parts of dhidden
    float *dhidden, *dweight;
    int64_t begin; // of the chunk, in the list

    __device__ listed_rows chunk_hidden() const {
        return hidden_rows(rows, hidden, hidden_stride, channels, begin, plan.chunk_rows);
    }

    __device__ matrix chunk_gradient(int64_t chunk_rows) const {
        return make_matrix(gradient, plan.stride, chunk_rows, rows.vocab_size);
    }

    __device__ matrix all_weights() const {
        return make_matrix(weight, channels, rows.vocab_size, channels);
    }
};

// ---- gradients of the logits ----

__device__ void write_gradient(const backward_job &job, int64_t count, int64_t first_row, int64_t first_token,
                               const tile_sums &logits) {
    const auto scale = static_cast<float>(static_cast<double>(*job.dloss) / *job.labelled_count);
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        const int64_t row = first_row + tile_row() + i;
        if (row >= count) {
            continue;
        }
        const int32_t number = job.rows.list[job.begin + row];
        const int32_t label = job.rows.labels[number];
        const float lse = job.lse[number];
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            const int64_t token = first_token + tile_column() + j;
            if (token < job.rows.vocab_size) {
                // exp(z - lse) - 1 without cancellation.
                const float off = logits.at[i][j] - lse;
                job.gradient[row * job.plan.stride + token] = scale * (token == label ? expm1f(off) : expf(off));
            }
        }
    }
}

// An item is a tile of rows and one of the vocabulary; neighbouring blocks share the weights.
__global__ void __launch_bounds__(TILE_THREADS, 2) gradient_kernel(backward_job job) {
    __shared__ tile_pieces pieces;
    const listed_rows hidden = job.chunk_hidden();
    const matrix weight = job.all_weights();
    const int64_t tiles = tiles_of(hidden.rows);
    for (int64_t item = blockIdx.x; item < tiles * tiles_of(weight.rows); item += gridDim.x) {
        const int64_t first_row = item % tiles * TILE, first_token = item / tiles * TILE;
        tile_sums logits = {};
        multiply_matrices(logits, across(hidden, first_row), across(weight, first_token), 0, job.channels, pieces);
        write_gradient(job, hidden.rows, first_row, first_token, logits);
    }
}

// ---- dhidden ----

// An item is a tile of rows, one of channels and a group of the vocabulary.
__global__ void __launch_bounds__(TILE_THREADS, 2) hidden_kernel(backward_job job) {
    __shared__ tile_pieces pieces;
    const int64_t rows = job.chunk_hidden().rows;
    const matrix gradient = job.chunk_gradient(rows), weight = job.all_weights();
    const int64_t tiles = tiles_of(rows), channel_tiles = tiles_of(job.channels);
    for (int64_t item = blockIdx.x; item < tiles * channel_tiles * job.plan.groups; item += gridDim.x) {
        const int64_t first_row = item % tiles * TILE, first_channel = item / tiles % channel_tiles * TILE;
        const int64_t group = item / tiles / channel_tiles, begin = group * job.plan.group_tokens;
        const int64_t end = min(begin + job.plan.group_tokens, job.rows.vocab_size);
        tile_sums sums = {};
        multiply_matrices(sums, across(gradient, first_row), along(weight, first_channel), begin, end, pieces);
        float *const target = job.hidden_sums + group * job.plan.chunk_rows * job.channels;
#pragma unroll
        for (int i = 0; i < TILE_PART; i++) {
            const int64_t row = first_row + tile_row() + i, channel = first_channel + tile_column();
#pragma unroll
            for (int j = 0; j < TILE_PART; j++) {
                if (row < rows && channel + j < job.channels) {
                    target[row * job.channels + channel + j] = sums.at[i][j];
                }
            }
        }
    }
}

// dhidden of a chunk: the groups' parts in their order.
struct sum_groups {
    backward_job job;

    __device__ void operator()(int64_t i) const {
        const int64_t row = job.begin + i / job.channels;
        if (row >= *job.rows.count) {
            return;
        }
        float sum = job.hidden_sums[i];
        for (int64_t group = 1; group < job.plan.groups; group++) {
            sum += job.hidden_sums[group * job.plan.chunk_rows * job.channels + i];
        }
        job.dhidden[job.rows.list[row] * job.hidden_stride + i % job.channels] = sum;
    }
};

struct clear_ignored {
    backward_job job;

    __device__ void operator()(int64_t i) const {
        const int64_t row = i / job.channels;
        if (!job.rows.has_label(row)) {
            job.dhidden[row * job.hidden_stride + i % job.channels] = 0.0f;
        }
    }
};

// ---- dweight ----

// An item is a tile of the vocabulary and one of channels.
__global__ void __launch_bounds__(TILE_THREADS, 2) weight_kernel(backward_job job) {
    __shared__ tile_pieces pieces;
    const listed_rows hidden = job.chunk_hidden();
    if (hidden.rows == 0) {
        return;
    }
    const matrix gradient = job.chunk_gradient(hidden.rows);
    const int64_t channel_tiles = tiles_of(job.channels);
    for (int64_t item = blockIdx.x; item < channel_tiles * tiles_of(job.rows.vocab_size); item += gridDim.x) {
        const int64_t first_token = item / channel_tiles * TILE, first_channel = item % channel_tiles * TILE;
        tile_sums sums = {};
        multiply_matrices(sums, along(gradient, first_token), along(hidden, first_channel), 0, hidden.rows, pieces);
#pragma unroll
        for (int i = 0; i < TILE_PART; i++) {
            const int64_t token = first_token + tile_row() + i, channel = first_channel + tile_column();
#pragma unroll
            for (int j = 0; j < TILE_PART; j++) {
                if (token < job.rows.vocab_size && channel + j < job.channels) {
                    job.dweight[token * job.channels + channel + j] += sums.at[i][j];
                }
            }
        }
    }
}

// ---- chunks ----

constexpr char OP[] = "vocabulary_loss_backward";

pan_status run_chunk(const pan_stream *stream, const backward_job &job) {
    const int64_t tiles = job.plan.chunk_rows / TILE;
    const int64_t token_tiles = ceil_div(job.rows.vocab_size, TILE), channel_tiles = ceil_div(job.channels, TILE);
    const auto run = [&](void (*kernel)(backward_job), int64_t items) {
        return launch(stream, OP, job.rows.rows, job.channels, {blocks_of_device(stream, items), TILE_THREADS}, kernel,
                      job);
    };
    CUDA_TRY(run(gradient_kernel, tiles * token_tiles));
    if (job.dhidden != nullptr) {
        CUDA_TRY(run(hidden_kernel, tiles * channel_tiles * job.plan.groups));
        CUDA_TRY(for_each(stream, OP, job.plan.chunk_rows, job.channels, sum_groups{job}));
    }
    return job.dweight == nullptr ? PAN_OK : run(weight_kernel, token_tiles * channel_tiles);
}

} // namespace

pan_status cuda_vocabulary_loss_backward_workspace_size(pan_stream *, const pan_vocabulary_loss_desc *desc,
                                                        int64_t *bytes) {
    const backward_plan plan = make_plan(desc);
    *bytes = labelled_rows_bytes(desc) + gradient_bytes(plan) +
             align_up(plan.groups * plan.chunk_rows * desc->channels * static_cast<int64_t>(sizeof(float)));
    return PAN_OK;
}

pan_status cuda_vocabulary_loss_backward(pan_stream *stream, const pan_vocabulary_loss_desc *desc, const void *hidden,
                                         const float *weight, const int32_t *labels, const int32_t *labelled_count,
                                         const float *lse, const float *dloss, void *dhidden, float *dweight,
                                         void *workspace, int64_t) {
    if (dhidden == nullptr && dweight == nullptr) {
        return PAN_OK;
    }
    backward_job job = {};
    job.rows = place_labelled_rows(desc, labels, workspace);
    job.plan = make_plan(desc);
    job.hidden = static_cast<const float *>(hidden);
    job.weight = weight;
    job.lse = lse;
    job.dloss = dloss;
    job.labelled_count = labelled_count;
    job.hidden_stride = desc->hidden_stride;
    job.channels = desc->channels;
    char *gradient = static_cast<char *>(workspace) + labelled_rows_bytes(desc);
    job.gradient = reinterpret_cast<float *>(gradient);
    job.hidden_sums = reinterpret_cast<float *>(gradient + gradient_bytes(job.plan));
    job.dhidden = static_cast<float *>(dhidden);
    job.dweight = dweight;
    CUDA_TRY(list_labelled_rows(stream, OP, job.rows, nullptr));
    if (dhidden != nullptr) {
        CUDA_TRY(for_each(stream, OP, desc->rows, desc->channels, clear_ignored{job}));
    }
    for (int64_t chunk = 0; chunk < job.plan.chunks; chunk++) {
        job.begin = chunk * job.plan.chunk_rows;
        CUDA_TRY(run_chunk(stream, job));
    }
    return PAN_OK;
}

pan_status cuda_vocabulary_loss_with_gradient_workspace_size(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                             int64_t *bytes) {
    int64_t forward, backward;
    CUDA_TRY(cuda_vocabulary_loss_forward_workspace_size(stream, desc, &forward));
    CUDA_TRY(cuda_vocabulary_loss_backward_workspace_size(stream, desc, &backward));
    *bytes = forward > backward ? forward : backward;
    return PAN_OK;
}

pan_status cuda_vocabulary_loss_with_gradient(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                              const void *hidden, const float *weight, const int32_t *labels,
                                              const float *dloss, float *loss, int32_t *labelled_count, float *row_loss,
                                              float *lse, int32_t *arg_max, void *dhidden, float *dweight,
                                              void *workspace, int64_t workspace_bytes) {
    CUDA_TRY(cuda_vocabulary_loss_forward(stream, desc, hidden, weight, labels, loss, labelled_count, row_loss, lse,
                                          arg_max, workspace, workspace_bytes));
    return cuda_vocabulary_loss_backward(stream, desc, hidden, weight, labels, labelled_count, lse, dloss, dhidden,
                                         dweight, workspace, workspace_bytes);
}
