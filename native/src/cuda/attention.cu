// Causal attention, forward: online softmax over tiles of keys, after Dao 2023 (arXiv 2307.08691), algorithm 1.
#include "attention.cuh"

namespace {

struct forward_job {
    attention_shape shape;
    const float *q, *k, *v;
    float *o, *lse;
};

struct forward_memory {
    tile_pieces pieces;
    tile_line weights[TILE];
};

// What a thread knows of its rows of queries: the largest score so far and its own columns' part of the sum of
// exponentials, taken relative to that.
struct softmax_rows {
    float max[TILE_PART];
    float sum[TILE_PART];
    uint64_t state[TILE_PART]; // of their random bits
};

__device__ softmax_rows start_rows(const attention_shape &shape, int64_t head, int64_t first_query) {
    softmax_rows rows;
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        rows.max[i] = -INFINITY;
        rows.sum[i] = 0.0f;
        rows.state[i] = query_state(shape, head, first_query + tile_row() + i);
    }
    return rows;
}

// Replaces scores by weights relative to the row's largest score so far; rescales what was summed up before.
template <int GROUPS>
__device__ void weigh_row(const attention_shape &shape, const tile_mask &mask, int64_t first_key, int i,
                          tile_sums &scores, softmax_rows &rows, tile_sums (&output)[GROUPS]) {
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
template <int GROUPS>
__device__ void add_keys(const forward_job &job, const attention_item &at, int64_t first_key, softmax_rows &rows,
                         tile_sums (&output)[GROUPS], forward_memory &memory) {
    const attention_shape &shape = job.shape;
    const int64_t first_query = at.block * TILE;
    const matrix q = head_matrix(shape, job.q, shape.desc.q, at.head);
    const matrix k = head_matrix(shape, job.k, shape.desc.k, at.head);
    const matrix v = head_matrix(shape, job.v, shape.desc.v, at.head);
    const tile_mask mask = make_mask(shape, first_query, first_key);
    tile_sums scores = {};
    multiply_matrices(scores, across(q, first_query), across(k, first_key), 0, shape.desc.head_dim, memory.pieces);
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        weigh_row(shape, mask, first_key, i, scores, rows, output);
    }
    store_weights(memory.weights, scores);
    const auto keep = [&](int query, int key) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        multiply_weights(output[group], memory.weights, along(v, at.first_column + group * TILE), first_key, mask.whole,
                         keep, memory.pieces);
    }
}

template <int GROUPS>
__device__ void write_results(const forward_job &job, const attention_item &at, softmax_rows &rows,
                              tile_sums (&output)[GROUPS]) {
    const attention_shape &shape = job.shape;
    const int64_t first_query = at.block * TILE;
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        const float sum = reduce_tile_row(rows.sum[i], plus());
        const int64_t query = first_query + tile_row() + i;
        if (at.first_column == 0 && tile_column() == 0 && query < shape.desc.length) {
            job.lse[at.head * shape.desc.length + query] = score_shift(rows.max[i]) + logf(sum);
        }
#pragma unroll
        for (int j = 0; j < TILE_PART * GROUPS; j++) {
            output[j / TILE_PART].at[i][j % TILE_PART] *= 1.0f / sum;
        }
    }
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        write_tile(shape, job.o, shape.desc.o, at.head, first_query, at.first_column + group * TILE, output[group]);
    }
}

template <int GROUPS> __global__ void __launch_bounds__(TILE_THREADS, 2) forward_kernel(forward_job job) {
    __shared__ forward_memory memory;
    const attention_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < item_count(shape); item += gridDim.x) {
        attention_item at = make_item<GROUPS>(shape, item);
        at.block = shape.blocks - 1 - at.block; // the longest first, so that none is left for the end
        const int64_t first_query = at.block * TILE;
        softmax_rows rows = start_rows(shape, at.head, first_query);
        tile_sums output[GROUPS] = {};
        for (int64_t key = first_visible(shape, first_query) / TILE * TILE; key <= first_query; key += TILE) {
            add_keys(job, at, key, rows, output, memory);
        }
        write_results(job, at, rows, output);
    }
}

template <int GROUPS>
pan_status forward(const pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                   const void *q, const void *k, const void *v, void *o, float *lse) {
    const forward_job job = {make_shape<GROUPS>(desc, random), static_cast<const float *>(q),
                             static_cast<const float *>(k),    static_cast<const float *>(v),
                             static_cast<float *>(o),          lse};
    return launch_items(stream, "attention_forward", job.shape, forward_kernel<GROUPS>, job);
}

} // namespace

pan_status cuda_attention_forward_workspace_size(pan_stream *, const pan_attention_desc *, int64_t *bytes) {
    *bytes = 0;
    return PAN_OK;
}

pan_status cuda_attention_forward(pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                                  const int32_t *, const void *q, const void *k, const void *v, void *o, float *lse,
                                  void *, int64_t) {
    return desc->head_dim <= TILE ? forward<1>(stream, desc, random, q, k, v, o, lse)
                                  : forward<2>(stream, desc, random, q, k, v, o, lse);
}
