// Attention to pooled blocks, forward: online softmax over tiles of keys, after Dao 2023 (arXiv 2307.08691), algorithm 1.
#include "pooled_attention.cuh"

namespace {

struct forward_job {
    pooled_shape shape;
    const float *q, *k, *v;
    float *o, *lse;
};

struct forward_memory {
    tile_pieces pieces;
    tile_line weights[TILE];
    seen_rows seen;
};

// What a thread knows of its rows of queries: the largest score so far and its own columns' part of the sum of
// exponentials, taken relative to that.
struct softmax_rows {
    float max[TILE_PART];
    float sum[TILE_PART];
};

// Replaces scores by weights relative to the row's largest score so far; rescales what was summed up before.
template <int GROUPS>
__device__ void weigh_row(const pooled_shape &shape, const pooled_mask &mask, int64_t first_key, int i,
                          tile_sums &scores, softmax_rows &rows, tile_sums (&output)[GROUPS]) {
    float max = rows.max[i];
#pragma unroll
    for (int j = 0; j < TILE_PART; j++) {
        const bool visible = mask.whole || mask.visible(tile_row() + i, tile_column() + j);
        scores.at[i][j] = visible ? pooled_score(shape, first_key + tile_column() + j, scores.at[i][j]) : -INFINITY;
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
    }
}

// Adds a tile of keys and values.
template <int GROUPS>
__device__ void add_keys(const forward_job &job, const pooled_queries &queries, int64_t first_column, int64_t first_key,
                         softmax_rows &rows, tile_sums (&output)[GROUPS], forward_memory &memory) {
    const pooled_shape &shape = job.shape;
    const matrix q = query_matrix(shape, job.q, shape.desc.q, queries);
    const matrix k = key_matrix(shape, job.k, shape.desc.k, queries);
    const matrix v = key_matrix(shape, job.v, shape.desc.v, queries);
    const pooled_mask mask = make_mask(shape, queries, first_key, memory.seen);
    tile_sums scores = {};
    multiply_matrices(scores, across(q, queries.first), across(k, first_key), 0, shape.desc.head_dim, memory.pieces);
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

// A query that saw nothing has sums of 0.
template <int GROUPS>
__device__ void write_results(const forward_job &job, const pooled_queries &queries, int64_t first_column,
                              softmax_rows &rows, tile_sums (&output)[GROUPS]) {
    const pooled_shape &shape = job.shape;
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
        const float sum = reduce_tile_row(rows.sum[i], plus());
        if (first_column == 0 && tile_column() == 0 && tile_row() + i < queries.count) {
            job.lse[first_statistic(shape, queries) + tile_row() + i] =
                sum == 0.0f ? -INFINITY : score_shift(rows.max[i]) + logf(sum);
        }
        const float factor = sum == 0.0f ? 1.0f : 1.0f / sum;
#pragma unroll
        for (int j = 0; j < TILE_PART * GROUPS; j++) {
            output[j / TILE_PART].at[i][j % TILE_PART] *= factor;
        }
    }
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        write_queries(shape, job.o, shape.desc.o, queries, first_column + group * TILE, output[group]);
    }
}

__host__ __device__ int64_t forward_items(const pooled_shape &shape) {
    return shape.desc.batch * shape.desc.heads * shape.query_tiles * shape.column_groups;
}

template <int GROUPS> __global__ void __launch_bounds__(TILE_THREADS, 2) forward_kernel(forward_job job) {
    __shared__ forward_memory memory;
    const pooled_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < forward_items(shape); item += gridDim.x) {
        const int64_t place = item / shape.column_groups, head = place / shape.query_tiles;
        // The longest first, so that none is left for the end.
        const pooled_queries queries = pooled_queries_at(shape, head / shape.desc.heads, head % shape.desc.heads,
                                                         shape.query_tiles - 1 - place % shape.query_tiles);
        const int64_t first_column = item % shape.column_groups * (GROUPS * TILE);
        softmax_rows rows;
#pragma unroll
        for (int i = 0; i < TILE_PART; i++) {
            rows.max[i] = -INFINITY;
            rows.sum[i] = 0.0f;
        }
        tile_sums output[GROUPS] = {};
        for (int64_t key = 0; key < key_end(shape, queries); key += TILE) {
            add_keys(job, queries, first_column, key, rows, output, memory);
        }
        write_results(job, queries, first_column, rows, output);
    }
}

} // namespace

pan_status cuda_pooled_attention_forward_workspace_size(pan_stream *, const pan_pooled_attention_desc *,
                                                        int64_t *bytes) {
    *bytes = 0;
    return PAN_OK;
}

pan_status cuda_pooled_attention_forward(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                         const int32_t *excluded, const void *q, const void *k, const void *v, void *o,
                                         float *lse, void *, int64_t) {
    static const char op[] = "pooled_attention_forward";
    const forward_job job = {make_pooled_shape(desc, excluded), static_cast<const float *>(q),
                             static_cast<const float *>(k),     static_cast<const float *>(v),
                             static_cast<float *>(o),           lse};
    CUDA_TRY(report_bad_blocks(stream, op, desc->excluded, desc->length, excluded, desc->first));
    return launch_pooled(stream, op, forward_items(job.shape),
                         job.shape.groups == 1 ? forward_kernel<1> : forward_kernel<2>, job);
}
