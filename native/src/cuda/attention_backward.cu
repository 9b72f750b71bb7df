// Causal attention, backward: weights are recomputed tile by tile, after Dao 2023 (arXiv 2307.08691), algorithm 2. One
// kernel goes along the keys for dq, another along the queries for dk and dv, so that no two blocks add to one place.
#include "attention.cuh"

namespace {

struct backward_job {
    attention_shape shape;
    const float *q, *k, *v, *d_o, *lse, *delta;
    float *dq, *dk, *dv;
};

// What backward needs to know of a tile of queries.
struct query_rows {
    float lse[TILE];
    float delta[TILE];
    uint64_t state[TILE]; // of their random bits
};

struct query_memory {
    tile_pieces pieces;
    tile_line slopes[TILE];
    query_rows queries;
};

struct key_memory {
    tile_pieces pieces;
    tile_line weights[TILE];
    tile_line slopes[TILE];
    query_rows queries;
};

static_assert(sizeof(key_memory) <= DEFAULT_SHARED_BYTES, "more than a block has");

// D[t] = sum_c do[t,c] o[t,c]
struct delta_row {
    attention_shape shape;
    const float *o, *d_o;
    float *delta;

    template <int TEAM> __device__ void row(int64_t r) const {
        const int64_t first = head_offset(shape, shape.desc.o, r / shape.desc.length) +
                              r % shape.desc.length * shape.desc.o.length_stride;
        float sum = 0.0f;
        for (int64_t c = threadIdx.x; c < shape.desc.head_dim; c += TEAM) {
            sum = fmaf(d_o[first + c], o[first + c], sum);
        }
        sum = team_reduce<TEAM>(sum, plus());
        if (threadIdx.x == 0) {
            delta[r] = sum;
        }
    }
};

// Barriers must lie before this and the last use of what was there, and after it.
__device__ void load_queries(const backward_job &job, int64_t head, int64_t first_query, query_rows &rows) {
    const attention_shape &shape = job.shape;
    const int64_t query = first_query + threadIdx.x;
    if (threadIdx.x < TILE && query < shape.desc.length) {
        rows.lse[threadIdx.x] = job.lse[head * shape.desc.length + query];
        rows.delta[threadIdx.x] = job.delta[head * shape.desc.length + query];
        rows.state[threadIdx.x] = query_state(shape, head, query);
    }
}

// Turns a pair's score and do . v into P and dp.
__device__ void differentiate_pair(const attention_shape &shape, const query_rows &rows, int query, int64_t first_query,
                                   int64_t key, float &weight, float &slope) {
    const float p = expf(shape.desc.scale * weight - rows.lse[query]);
    const float factor = shape.random == nullptr ? 1.0f : keep_factor(shape, rows.state[query], key);
    weight = p * factor;
    slope = p * (factor * slope - rows.delta[query]);
    if (shape.window == 1 || first_query + query == 0) {
        // A softmax over one key is constant: its slope is 0, not the rounding error of do . v - D. NaN stays NaN.
        slope *= 0.0f;
    }
}

// Turns a tile of scores and one of do . v into P and dp; 0 where the query does not see the key. The tiles' rows are
// queries, or keys if TRANSPOSED.
template <bool TRANSPOSED>
__device__ void differentiate(const attention_shape &shape, const query_rows &rows, const tile_mask &mask,
                              int64_t first_query, int64_t first_key, tile_sums &weights, tile_sums &slopes) {
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            const int query = TRANSPOSED ? tile_column() + j : tile_row() + i;
            const int key = TRANSPOSED ? tile_row() + i : tile_column() + j;
            if (mask.whole || mask.visible(query, key)) {
                differentiate_pair(shape, rows, query, first_query, first_key + key, weights.at[i][j], slopes.at[i][j]);
            } else {
                weights.at[i][j] = 0.0f;
                slopes.at[i][j] = 0.0f;
            }
        }
    }
}

// dq += dp k
template <int GROUPS>
__device__ void add_keys(const backward_job &job, const attention_item &at, int64_t first_key,
                         tile_sums (&gradient)[GROUPS], query_memory &memory) {
    const attention_shape &shape = job.shape;
    const int64_t first_query = at.block * TILE;
    const matrix q = head_matrix(shape, job.q, shape.desc.q, at.head);
    const matrix k = head_matrix(shape, job.k, shape.desc.k, at.head);
    const matrix v = head_matrix(shape, job.v, shape.desc.v, at.head);
    const matrix d_o = head_matrix(shape, job.d_o, shape.desc.o, at.head);
    const tile_mask mask = make_mask(shape, first_query, first_key);
    tile_sums weights = {}, slopes = {};
    multiply_matrices(weights, across(q, first_query), across(k, first_key), 0, shape.desc.head_dim, memory.pieces);
    multiply_matrices(slopes, across(d_o, first_query), across(v, first_key), 0, shape.desc.head_dim, memory.pieces);
    differentiate<false>(shape, memory.queries, mask, first_query, first_key, weights, slopes);
    store_weights(memory.slopes, slopes);
    const auto keep = [&](int query, int key) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        multiply_weights(gradient[group], memory.slopes, along(k, at.first_column + group * TILE), first_key,
                         mask.whole, keep, memory.pieces);
    }
}

template <int GROUPS> __global__ void __launch_bounds__(TILE_THREADS, 2) query_kernel(backward_job job) {
    __shared__ query_memory memory;
    const attention_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < item_count(shape); item += gridDim.x) {
        attention_item at = make_item<GROUPS>(shape, item);
        at.block = shape.blocks - 1 - at.block; // the longest first, so that none is left for the end
        const int64_t first_query = at.block * TILE;
        load_queries(job, at.head, first_query, memory.queries);
        tile_sums gradient[GROUPS] = {};
        for (int64_t key = first_visible(shape, first_query) / TILE * TILE; key <= first_query; key += TILE) {
            add_keys(job, at, key, gradient, memory);
        }
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            scale_tile(gradient[group], shape.desc.scale);
            write_tile(shape, job.dq, shape.desc.q, at.head, first_query, at.first_column + group * TILE,
                       gradient[group]);
        }
    }
}

// dk += dp^T q, dv += P^T do
template <int GROUPS>
__device__ void add_queries(const backward_job &job, const attention_item &at, int64_t first_query,
                            tile_sums (&dk)[GROUPS], tile_sums (&dv)[GROUPS], key_memory &memory) {
    const attention_shape &shape = job.shape;
    const int64_t first_key = at.block * TILE;
    const matrix q = head_matrix(shape, job.q, shape.desc.q, at.head);
    const matrix k = head_matrix(shape, job.k, shape.desc.k, at.head);
    const matrix v = head_matrix(shape, job.v, shape.desc.v, at.head);
    const matrix d_o = head_matrix(shape, job.d_o, shape.desc.o, at.head);
    const tile_mask mask = make_mask(shape, first_query, first_key);
    load_queries(job, at.head, first_query, memory.queries);
    tile_sums weights = {}, slopes = {};
    multiply_matrices(weights, across(k, first_key), across(q, first_query), 0, shape.desc.head_dim, memory.pieces);
    multiply_matrices(slopes, across(v, first_key), across(d_o, first_query), 0, shape.desc.head_dim, memory.pieces);
    differentiate<true>(shape, memory.queries, mask, first_query, first_key, weights, slopes);
    store_weights(memory.weights, weights);
    store_weights(memory.slopes, slopes);
    const auto keep = [&](int key, int query) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        const int64_t column = at.first_column + group * TILE;
        multiply_weights(dv[group], memory.weights, along(d_o, column), first_query, mask.whole, keep, memory.pieces);
        multiply_weights(dk[group], memory.slopes, along(q, column), first_query, mask.whole, keep, memory.pieces);
    }
}

template <int GROUPS>
__global__ void __launch_bounds__(TILE_THREADS, GROUPS == 1 ? 2 : 1) key_kernel(backward_job job) {
    __shared__ key_memory memory;
    const attention_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < item_count(shape); item += gridDim.x) {
        const attention_item at = make_item<GROUPS>(shape, item);
        const int64_t first_key = at.block * TILE;
        tile_sums dk[GROUPS] = {}, dv[GROUPS] = {};
        // The last query that sees a key of the tile sees its last one.
        const int64_t last = first_key + TILE - 1 + shape.window - 1;
        for (int64_t query = first_key; query <= last && query < shape.desc.length; query += TILE) {
            add_queries(job, at, query, dk, dv, memory);
        }
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            const int64_t column = at.first_column + group * TILE;
            scale_tile(dk[group], shape.desc.scale);
            write_tile(shape, job.dk, shape.desc.k, at.head, first_key, column, dk[group]);
            write_tile(shape, job.dv, shape.desc.v, at.head, first_key, column, dv[group]);
        }
    }
}

template <int GROUPS>
pan_status backward(const pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                    const void *o, backward_job job, float *delta) {
    static const char op[] = "attention_backward";
    job.shape = make_shape<GROUPS>(desc, random);
    job.delta = delta;
    CUDA_TRY(for_each_row(stream, op, desc->batch * desc->heads * desc->length, desc->head_dim,
                          delta_row{job.shape, static_cast<const float *>(o), job.d_o, delta}));
    CUDA_TRY(launch_items(stream, op, job.shape, query_kernel<GROUPS>, job));
    return launch_items(stream, op, job.shape, key_kernel<GROUPS>, job);
}

} // namespace

pan_status cuda_attention_backward_workspace_size(pan_stream *, const pan_attention_desc *desc, int64_t *bytes) {
    *bytes = desc->batch * desc->heads * desc->length * static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

pan_status cuda_attention_backward(pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                                   const int32_t *, const void *q, const void *k, const void *v, const void *o,
                                   const float *lse, const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                   int64_t) {
    backward_job job = {};
    job.q = static_cast<const float *>(q);
    job.k = static_cast<const float *>(k);
    job.v = static_cast<const float *>(v);
    job.d_o = static_cast<const float *>(d_o);
    job.lse = lse;
    job.dq = static_cast<float *>(dq);
    job.dk = static_cast<float *>(dk);
    job.dv = static_cast<float *>(dv);
    auto *delta = static_cast<float *>(workspace);
    return desc->head_dim <= TILE ? backward<1>(stream, desc, random, o, job, delta)
                                  : backward<2>(stream, desc, random, o, job, delta);
}
