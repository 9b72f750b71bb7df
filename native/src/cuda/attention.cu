// Causal attention, forward: online softmax over tiles of keys, after Dao 2023 (arXiv 2307.08691), algorithm 1.
#include "attention_queries.cuh"
#include "chosen_positions.cuh"

namespace {

struct forward_job {
    attention_shape shape;
    const float *q, *k, *v;
    float *o, *lse;
};

struct forward_memory {
    tile_pieces pieces;
    tile_line weights[TILE];
    int32_t positions[TILE];
};

// What a thread knows of its rows of queries: the largest score so far and its own columns' part of the sum of
// exponentials, taken relative to that.
struct softmax_rows {
    float max[TILE_PART];
    float sum[TILE_PART];
    uint64_t state[TILE_PART]; // of their random bits
};

template <query_source SOURCE>
__device__ softmax_rows start_rows(const attention_shape &shape, const query_tile<SOURCE> &queries) {
    softmax_rows rows;
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        rows.max[i] = -INFINITY;
        rows.sum[i] = 0.0f;
        rows.state[i] = query_state(shape, queries.head, queries.position(tile_row() + i));
    }
    return rows;
}

// Replaces scores by weights relative to the row's largest score so far; rescales what was summed up before.
template <typename Mask, int GROUPS>
__device__ void weigh_row(const attention_shape &shape, const Mask &mask, int64_t first_key, int i, tile_sums &scores,
                          softmax_rows &rows, tile_sums (&output)[GROUPS]) {
    float max = rows.max[i];
#pragma unroll
    for (int j = 0; j < TILE_PART; j++) {
        const bool visible = mask.whole || mask.visible(tile_row() + i, tile_column() + j);
        scores.at[i][j] = visible ? shape.desc.scale * scores.at[i][j] : -INFINITY;
        max = larger()(max, scores.at[i][j]);
    }
    max = reduce_tile_row(max, larger());
    const float shift = score_shift(max);
    const float factor = max > rows.max[i] ? expf(score_shift(rows.max[i]) - shift) : 1.0f;
    rows.max[i] = max;
    rows.sum[i] *= factor;
#pragma unroll
    for (int j = 0; j < TILE_PART; j++) {
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            output[group].at[i][j] *= factor;
        }
        scores.at[i][j] = expf(scores.at[i][j] - shift);
        rows.sum[i] += scores.at[i][j];
        if (shape.random != nullptr) {
            scores.at[i][j] *= keep_factor(shape, rows.state[i], first_key + tile_column() + j);
        }
    }
}

// Adds a tile of keys and values.
template <query_source SOURCE, int GROUPS>
__device__ void add_keys(const forward_job &job, const query_tile<SOURCE> &queries, int64_t first_column,
                         int64_t first_key, softmax_rows &rows, tile_sums (&output)[GROUPS], forward_memory &memory) {
    const attention_shape &shape = job.shape;
    const auto q = query_matrix(shape, job.q, shape.desc.q, queries);
    const matrix k = head_matrix(shape, job.k, shape.desc.k, queries.head);
    const matrix v = head_matrix(shape, job.v, shape.desc.v, queries.head);
    const auto mask = make_mask(shape, queries, first_key);
    tile_sums scores = {};
    multiply_matrices(scores, across(q, queries.row), across(k, first_key), 0, shape.desc.head_dim, memory.pieces);
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        weigh_row(shape, mask, first_key, i, scores, rows, output);
    }
    store_weights(memory.weights, scores);
    const auto keep = [&](int query, int key) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        multiply_weights(output[group], memory.weights, along(v, first_column + group * TILE), first_key, mask.whole,
                         keep, memory.pieces);
    }
}

template <query_source SOURCE, int GROUPS>
__device__ void write_results(const forward_job &job, const query_tile<SOURCE> &queries, int64_t first_column,
                              softmax_rows &rows, tile_sums (&output)[GROUPS]) {
    const attention_shape &shape = job.shape;
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        const float sum = reduce_tile_row(rows.sum[i], plus());
        if (first_column == 0 && tile_column() == 0 && tile_row() + i < queries.count) {
            job.lse[queries.statistic_of(tile_row() + i)] = score_shift(rows.max[i]) + logf(sum);
        }
#pragma unroll
        for (int j = 0; j < TILE_PART * GROUPS; j++) {
            output[j / TILE_PART].at[i][j % TILE_PART] *= 1.0f / sum;
        }
    }
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        write_queries(shape, job.o, shape.desc.o, queries, first_column + group * TILE, output[group]);
    }
}

template <query_source SOURCE, int GROUPS>
__global__ void __launch_bounds__(TILE_THREADS, 2) forward_kernel(forward_job job) {
    __shared__ forward_memory memory;
    const attention_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < query_items<SOURCE>(shape); item += gridDim.x) {
        const query_tile<SOURCE> queries = take_queries<SOURCE>(shape, item, memory.positions);
        if (SOURCE != ALL_POSITIONS && queries.count == 0) {
            continue;
        }
        const int64_t first_column = item % shape.column_groups * (GROUPS * TILE);
        softmax_rows rows = start_rows(shape, queries);
        tile_sums output[GROUPS] = {};
        for (int64_t key = first_visible(shape, queries.first) / TILE * TILE; key <= queries.last; key += TILE) {
            add_keys(job, queries, first_column, key, rows, output, memory);
        }
        write_results(job, queries, first_column, rows, output);
    }
}

template <query_source SOURCE> pan_status forward(const pan_stream *stream, const char *op, const forward_job &job) {
    const auto kernel = job.shape.groups == 1 ? forward_kernel<SOURCE, 1> : forward_kernel<SOURCE, 2>;
    return launch_items(stream, op, query_items<SOURCE>(job.shape), kernel, job);
}

} // namespace

pan_status cuda_attention_forward_workspace_size(pan_stream *, const pan_attention_desc *, int64_t *bytes) {
    *bytes = 0;
    return PAN_OK;
}

pan_status cuda_attention_forward(pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                                  const int32_t *query_rows, const void *q, const void *k, const void *v, void *o,
                                  float *lse, void *, int64_t) {
    static const char op[] = "attention_forward";
    const forward_job job = {make_shape(stream, desc, random, query_rows),
                             static_cast<const float *>(q),
                             static_cast<const float *>(k),
                             static_cast<const float *>(v),
                             static_cast<float *>(o),
                             lse};
    return query_rows == nullptr ? forward<ALL_POSITIONS>(stream, op, job) : forward<LISTED>(stream, op, job);
}

pan_status cuda_selected_attention_forward_workspace_size(pan_stream *, const pan_attention_desc *desc,
                                                          int64_t *bytes) {
    *bytes = chosen_bytes(desc);
    return PAN_OK;
}

pan_status cuda_selected_attention_forward(pan_stream *stream, const pan_attention_desc *desc,
                                           const pan_random_state *random, const void *chosen, const void *q,
                                           const void *k, const void *v, void *o, float *lse, void *workspace,
                                           int64_t) {
    static const char op[] = "selected_attention_forward";
    const auto *is_chosen = static_cast<const float *>(chosen);
    forward_job job = {make_shape(stream, desc, random, nullptr),
                       static_cast<const float *>(q),
                       static_cast<const float *>(k),
                       static_cast<const float *>(v),
                       static_cast<float *>(o),
                       lse};
    CUDA_TRY(list_chosen(stream, op, desc, is_chosen, workspace, &job.shape.chosen));
    CUDA_TRY(clear_unchosen(stream, op, desc, is_chosen, job.o, desc->o, lse));
    return forward<CHOSEN>(stream, op, job);
}
