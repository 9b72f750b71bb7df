// Cross entropy of a vocabulary head, forward; and the list of labelled rows. The vocabulary is cut into groups of
// tiles; a block goes through a group's logits for a tile of labelled rows, and the groups' parts of a row are then
// combined.
#include <climits>

#include "vocabulary_loss.cuh"

namespace {

// ---- labelled rows ----

constexpr int64_t MOST_LABEL_PARTS = 1024;
constexpr int64_t LABEL_PART_ROWS = 1024;

int64_t label_part_rows(int64_t rows) {
    const int64_t part_rows = ceil_div(ceil_div(rows, MOST_LABEL_PARTS), BLOCK_THREADS) * BLOCK_THREADS;
    return part_rows > LABEL_PART_ROWS ? part_rows : LABEL_PART_ROWS;
}

int64_t label_parts(int64_t rows) {
    return ceil_div(rows, label_part_rows(rows));
}

int64_t list_bytes(int64_t rows) {
    return align_up(rows * static_cast<int64_t>(sizeof(int32_t)));
}

struct count_labels {
    labelled_rows rows;
    cuda_report *report;

    template <int TEAM> __device__ void row(int64_t part) const {
        const int64_t begin = part * rows.part_rows;
        const int64_t end = min(begin + rows.part_rows, rows.rows);
        int count = 0;
        for (int64_t row = begin + threadIdx.x; row < end; row += TEAM) {
            const bool has_label = rows.has_label(row);
            count += has_label ? 1 : 0;
            if (!has_label && rows.labels[row] != PAN_IGNORE_LABEL) {
                *report = make_report(REPORT_LABEL, row);
            }
        }
        count = team_reduce<TEAM>(count, plus());
        if (threadIdx.x == 0) {
            rows.part_counts[part] = count;
        }
    }
};

// The place of this thread's row among those of the block that have a label, and how many those are.
struct list_place {
    int place;
    int count;
};

__device__ list_place find_place(bool has_label) {
    constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;
    __shared__ int counts[WARPS];
    const unsigned votes = __ballot_sync(WHOLE_WARP, has_label);
    const int lane = static_cast<int>(threadIdx.x) % WARP_THREADS, warp = static_cast<int>(threadIdx.x) / WARP_THREADS;
    __syncthreads(); // counts may still be read from the call before
    if (lane == 0) {
        counts[warp] = __popc(votes);
    }
    __syncthreads();
    list_place found = {__popc(votes & ((1u << lane) - 1)), 0};
    for (int w = 0; w < WARPS; w++) {
        found.place += w < warp ? counts[w] : 0;
        found.count += counts[w];
    }
    return found;
}

// A block a part.
__global__ void __launch_bounds__(BLOCK_THREADS) list_kernel(labelled_rows rows, int32_t *labelled_count) {
    const int64_t part = blockIdx.x;
    int before = 0;
    for (int64_t p = threadIdx.x; p < part; p += BLOCK_THREADS) {
        before += rows.part_counts[p];
    }
    before = team_reduce<BLOCK_THREADS>(before, plus());
    const int64_t begin = part * rows.part_rows;
    const int64_t end = min(begin + rows.part_rows, rows.rows);
    for (int64_t first = begin; first < end; first += BLOCK_THREADS) {
        const int64_t row = first + threadIdx.x;
        const bool has_label = row < end && rows.has_label(row);
        const list_place found = find_place(has_label);
        if (has_label) {
            rows.list[before + found.place] = static_cast<int32_t>(row);
        }
        before += found.count;
    }
    if (part == rows.parts - 1 && threadIdx.x == 0) {
        *rows.count = before;
        if (labelled_count != nullptr) {
            *labelled_count = before;
        }
    }
}

} // namespace

int64_t labelled_rows_bytes(const pan_vocabulary_loss_desc *desc) {
    return PAN_ALIGNMENT + list_bytes(desc->rows) + list_bytes(label_parts(desc->rows));
}

labelled_rows place_labelled_rows(const pan_vocabulary_loss_desc *desc, const int32_t *labels, void *workspace) {
    auto *memory = static_cast<char *>(workspace);
    auto *list = memory + PAN_ALIGNMENT;
    return {labels,
            desc->rows,
            desc->vocab_size,
            reinterpret_cast<int32_t *>(list),
            reinterpret_cast<int32_t *>(memory),
            reinterpret_cast<int32_t *>(list + list_bytes(desc->rows)),
            label_part_rows(desc->rows),
            label_parts(desc->rows)};
}

pan_status list_labelled_rows(const pan_stream *stream, const char *op, const labelled_rows &rows,
                              int32_t *labelled_count) {
    CUDA_TRY(
        for_each_row(stream, op, rows.parts, rows.part_rows, count_labels{rows, state_of(stream)->device->report}));
    return launch(stream, op, rows.rows, 1, {static_cast<unsigned>(rows.parts), BLOCK_THREADS}, list_kernel, rows,
                  labelled_count);
}

namespace {

// ---- logits ----

// What one group of the vocabulary contributes to a row.
struct alignas(16) row_part {
    float max;
    float sum; // of exp(z - shift), with the shift of max
    int32_t arg_max;
    int32_t reserved;
};

// How the vocabulary is cut: by shapes alone, because sums must not depend on the device or on the labels.
struct forward_plan {
    int64_t groups;
    int64_t group_tiles;
};

forward_plan make_plan(const pan_vocabulary_loss_desc *desc) {
    constexpr int64_t WANTED_ITEMS = 4096, LEAST_GROUPS = 16, MOST_GROUPS = 256, PARTS_BYTES = 64 << 20;
    const int64_t tiles = ceil_div(desc->vocab_size, TILE);
    int64_t groups = min(max(WANTED_ITEMS / ceil_div(desc->rows, TILE), LEAST_GROUPS), MOST_GROUPS);
    groups = min(groups, PARTS_BYTES / (desc->rows * static_cast<int64_t>(sizeof(row_part))));
    groups = max(min(groups, tiles), static_cast<int64_t>(1));
    const int64_t group_tiles = ceil_div(tiles, groups);
    return {ceil_div(tiles, group_tiles), group_tiles};
}

int64_t parts_bytes(const pan_vocabulary_loss_desc *desc) {
    return align_up(desc->rows * make_plan(desc).groups * static_cast<int64_t>(sizeof(row_part)));
}

struct forward_job {
    labelled_rows rows;
    forward_plan plan;
    const float *hidden, *weight;
    int64_t hidden_stride, channels;
    row_part *parts;     // (rows, groups); rows are those of the list, here and below
    float *label_logits; // (rows)
};

// A thread's share of its rows: what it has seen of their logits in its own columns.
struct row_shares {
    float max[TILE_PART];
    float sum[TILE_PART];
    int arg_max[TILE_PART];
    int label[TILE_PART]; // -1 beyond the list
};

__device__ row_shares start_shares(const labelled_rows &rows, int64_t first_row) {
    row_shares shares;
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        const int64_t row = first_row + tile_row() + i;
        shares.max[i] = -INFINITY;
        shares.sum[i] = 0.0f;
        shares.arg_max[i] = INT_MAX;
        shares.label[i] = row < *rows.count ? rows.labels[rows.list[row]] : -1;
    }
    return shares;
}

// The thread's columns come in ascending order, so the first of equal logits stays.
__device__ void add_logits(const forward_job &job, int64_t first_row, int64_t first_token, const tile_sums &logits,
                           row_shares &shares) {
    const int token = static_cast<int>(first_token) + tile_column();
    const auto count = static_cast<int>(min(job.rows.vocab_size - token, static_cast<int64_t>(TILE_PART)));
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        const float max = shares.max[i];
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            const float logit = logits.at[i][j];
            if (j < count && logit > shares.max[i]) {
                shares.max[i] = logit;
                shares.arg_max[i] = token + j;
            }
            if (j < count && token + j == shares.label[i]) {
                job.label_logits[first_row + tile_row() + i] = logit;
            }
        }
        const float shift = score_shift(shares.max[i]);
        shares.sum[i] *= shares.max[i] > max ? expf(score_shift(max) - shift) : 1.0f;
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            shares.sum[i] += j < count ? expf(logits.at[i][j] - shift) : 0.0f;
        }
    }
}

struct smaller {
    __device__ int operator()(int a, int b) const {
        return b < a ? b : a;
    }
};

// Combines the shares of the threads that have a row in common.
__device__ void write_parts(const forward_job &job, int64_t group, int64_t first_row, const row_shares &shares) {
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        const float max = reduce_tile_row(shares.max[i], larger());
        const float factor = expf(score_shift(shares.max[i]) - score_shift(max));
        const float sum = reduce_tile_row(shares.sum[i] * factor, plus());
        const int arg_max = reduce_tile_row(shares.max[i] == max ? shares.arg_max[i] : INT_MAX, smaller());
        const int64_t row = first_row + tile_row() + i;
        if (tile_column() == 0 && row < *job.rows.count) {
            job.parts[row * job.plan.groups + group] = {max, sum, arg_max == INT_MAX ? 0 : arg_max, 0};
        }
    }
}

// An item is a tile of rows and a group; neighbouring blocks share the group's weights.
__global__ void __launch_bounds__(TILE_THREADS, 2) logits_kernel(forward_job job) {
    __shared__ tile_pieces pieces;
    const listed_rows hidden = hidden_rows(job.rows, job.hidden, job.hidden_stride, job.channels, 0, job.rows.rows);
    const matrix weight = make_matrix(job.weight, job.channels, job.rows.vocab_size, job.channels);
    const int64_t tiles = tiles_of(hidden.rows);
    for (int64_t item = blockIdx.x; item < tiles * job.plan.groups; item += gridDim.x) {
        const int64_t group = item / tiles, first_row = item % tiles * TILE;
        const int64_t begin = group * job.plan.group_tiles * TILE;
        const int64_t end = min(begin + job.plan.group_tiles * TILE, job.rows.vocab_size);
        row_shares shares = start_shares(job.rows, first_row);
        for (int64_t token = begin; token < end; token += TILE) {
            tile_sums logits = {};
            multiply_matrices(logits, across(hidden, first_row), across(weight, token), 0, job.channels, pieces);
            add_logits(job, first_row, token, logits, shares);
        }
        write_parts(job, group, first_row, shares);
    }
}

// ---- results ----

// Row i of the list, whose parts a team combines in their order; and zeros for row i of the array if it is ignored.
struct combine_row {
    forward_job job;
    float *row_loss, *lse;
    int32_t *arg_max;

    template <int TEAM> __device__ void combine(int64_t i) const {
        const row_part *parts = job.parts + i * job.plan.groups;
        float max = -INFINITY;
        for (int64_t g = threadIdx.x; g < job.plan.groups; g += TEAM) {
            max = larger()(max, parts[g].max);
        }
        max = team_reduce<TEAM>(max, larger());
        const double shift = score_shift(max);
        double sum = 0.0;
        int first = INT_MAX;
        for (int64_t g = threadIdx.x; g < job.plan.groups; g += TEAM) {
            sum += parts[g].sum * exp(score_shift(parts[g].max) - shift);
            first = smaller()(first, parts[g].max == max ? parts[g].arg_max : INT_MAX);
        }
        sum = team_reduce<TEAM>(sum, plus());
        first = team_reduce<TEAM>(first, smaller());
        if (threadIdx.x == 0) {
            const int64_t row = job.rows.list[i];
            const double log_sum = shift + log(sum);
            row_loss[row] = static_cast<float>(log_sum - job.label_logits[i]);
            lse[row] = static_cast<float>(log_sum);
            arg_max[row] = first;
        }
    }

    template <int TEAM> __device__ void row(int64_t i) const {
        if (i < *job.rows.count) {
            combine<TEAM>(i);
        }
        if (threadIdx.x == 0 && !job.rows.has_label(i)) {
            row_loss[i] = 0.0f;
            lse[i] = 0.0f;
            arg_max[i] = -1;
        }
    }
};

// Rows without a label have a loss of 0 and change nothing.
struct sum_losses {
    labelled_rows rows;
    const float *row_loss;
    double *sums;

    template <int TEAM> __device__ void row(int64_t part) const {
        const int64_t begin = part * rows.part_rows;
        const int64_t end = min(begin + rows.part_rows, rows.rows);
        double sum = 0.0;
        for (int64_t row = begin + threadIdx.x; row < end; row += TEAM) {
            sum += row_loss[row];
        }
        sum = team_reduce<TEAM>(sum, plus());
        if (threadIdx.x == 0) {
            sums[part] = sum;
        }
    }
};

struct mean_loss {
    labelled_rows rows;
    const double *sums;
    float *loss;

    template <int TEAM> __device__ void row(int64_t) const {
        double sum = 0.0;
        for (int64_t part = threadIdx.x; part < rows.parts; part += TEAM) {
            sum += sums[part];
        }
        sum = team_reduce<TEAM>(sum, plus());
        if (threadIdx.x == 0) {
            *loss = *rows.count > 0 ? static_cast<float>(sum / *rows.count) : 0.0f;
        }
    }
};

} // namespace

pan_status cuda_vocabulary_loss_forward_workspace_size(pan_stream *, const pan_vocabulary_loss_desc *desc,
                                                       int64_t *bytes) {
    *bytes = labelled_rows_bytes(desc) + parts_bytes(desc) +
             align_up(desc->rows * static_cast<int64_t>(sizeof(float))) +
             align_up(label_parts(desc->rows) * static_cast<int64_t>(sizeof(double)));
    return PAN_OK;
}

pan_status cuda_vocabulary_loss_forward(pan_stream *stream, const pan_vocabulary_loss_desc *desc, const void *hidden,
                                        const float *weight, const int32_t *labels, float *loss,
                                        int32_t *labelled_count, float *row_loss, float *lse, int32_t *arg_max,
                                        void *workspace, int64_t) {
    static const char op[] = "vocabulary_loss_forward";
    char *parts = static_cast<char *>(workspace) + labelled_rows_bytes(desc);
    char *label_logits = parts + parts_bytes(desc);
    auto *sums = reinterpret_cast<double *>(label_logits + align_up(desc->rows * static_cast<int64_t>(sizeof(float))));
    const labelled_rows rows = place_labelled_rows(desc, labels, workspace);
    const forward_job job = {rows,
                             make_plan(desc),
                             static_cast<const float *>(hidden),
                             weight,
                             desc->hidden_stride,
                             desc->channels,
                             reinterpret_cast<row_part *>(parts),
                             reinterpret_cast<float *>(label_logits)};
    CUDA_TRY(list_labelled_rows(stream, op, rows, labelled_count));
    const unsigned blocks = blocks_of_device(stream, ceil_div(desc->rows, TILE) * job.plan.groups);
    CUDA_TRY(launch(stream, op, desc->rows, desc->channels, {blocks, TILE_THREADS}, logits_kernel, job));
    CUDA_TRY(for_each_row(stream, op, desc->rows, job.plan.groups, combine_row{job, row_loss, lse, arg_max}));
    CUDA_TRY(for_each_row(stream, op, rows.parts, rows.part_rows, sum_losses{rows, row_loss, sums}));
    return for_each_row(stream, op, 1, rows.parts, mean_loss{rows, sums, loss});
}
