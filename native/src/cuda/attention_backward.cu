// Causal attention, backward: weights are recomputed tile by tile, after Dao 2023 (arXiv 2307.08691), algorithm 2. One
// kernel goes along the keys for dq, another along the queries for dk and dv, so that no two blocks add to one place.
#include "attention_queries.cuh"
#include "chosen_positions.cuh"

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
    int32_t positions[TILE];
};

struct key_memory {
    tile_pieces pieces;
    tile_line weights[TILE];
    tile_line slopes[TILE];
    query_rows queries;
    int32_t positions[TILE];
};

static_assert(sizeof(key_memory) <= DEFAULT_SHARED_BYTES, "more than a block has");

// D[t] = sum_c do[t,c] o[t,c], for each number of lse
struct delta_row {
    attention_shape shape;
    const float *o, *d_o;
    float *delta;

    template <int TEAM> __device__ void row(int64_t r) const {
        const int64_t first = row_offset(shape, shape.desc.o, r);
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
template <query_source SOURCE>
__device__ void load_queries(const backward_job &job, const query_tile<SOURCE> &queries, query_rows &rows) {
    const int query = static_cast<int>(threadIdx.x);
    if (query < queries.count) {
        rows.lse[query] = job.lse[queries.statistic_of(query)];
        rows.delta[query] = job.delta[queries.statistic_of(query)];
        rows.state[query] = query_state(job.shape, queries.head, queries.position(query));
    }
}

// Turns a pair's score and do . v into P and dp.
template <query_source SOURCE>
__device__ void differentiate_pair(const attention_shape &shape, const query_rows &rows,
                                   const query_tile<SOURCE> &queries, int query, int64_t key, float &weight,
                                   float &slope) {
    const float p = expf(shape.desc.scale * weight - rows.lse[query]);
    const float factor = shape.random == nullptr ? 1.0f : keep_factor(shape, rows.state[query], key);
    weight = p * factor;
    slope = p * (factor * slope - rows.delta[query]);
    if (shape.window == 1 || queries.position(query) == 0) {
        // A softmax over one key is constant: its slope is 0, not the rounding error of do . v - D. NaN stays NaN.
        slope *= 0.0f;
    }
}

// Turns a tile of scores and one of do . v into P and dp; 0 where the query does not see the key. The tiles' rows are
// queries, or keys if TRANSPOSED.
template <bool TRANSPOSED, query_source SOURCE, typename Mask>
__device__ void differentiate(const attention_shape &shape, const query_rows &rows, const query_tile<SOURCE> &queries,
                              const Mask &mask, int64_t first_key, tile_sums &weights, tile_sums &slopes) {
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            const int query = TRANSPOSED ? tile_column() + j : tile_row() + i;
            const int key = TRANSPOSED ? tile_row() + i : tile_column() + j;
            if (mask.whole || mask.visible(query, key)) {
                differentiate_pair(shape, rows, queries, query, first_key + key, weights.at[i][j], slopes.at[i][j]);
            } else {
                weights.at[i][j] = 0.0f;
                slopes.at[i][j] = 0.0f;
            }
        }
    }
}

// dq += dp k
template <query_source SOURCE, int GROUPS>
__device__ void add_keys(const backward_job &job, const query_tile<SOURCE> &queries, int64_t first_column,
                         int64_t first_key, tile_sums (&gradient)[GROUPS], query_memory &memory) {
    const attention_shape &shape = job.shape;
    const auto q = query_matrix(shape, job.q, shape.desc.q, queries);
    const matrix k = head_matrix(shape, job.k, shape.desc.k, queries.head);
    const matrix v = head_matrix(shape, job.v, shape.desc.v, queries.head);
    const auto d_o = query_matrix(shape, job.d_o, shape.desc.o, queries);
    const auto mask = make_mask(shape, queries, first_key);
    tile_sums weights = {}, slopes = {};
    multiply_matrices(weights, across(q, queries.row), across(k, first_key), 0, shape.desc.head_dim, memory.pieces);
    multiply_matrices(slopes, across(d_o, queries.row), across(v, first_key), 0, shape.desc.head_dim, memory.pieces);
    differentiate<false>(shape, memory.queries, queries, mask, first_key, weights, slopes);
    store_weights(memory.slopes, slopes);
    const auto keep = [&](int query, int key) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        multiply_weights(gradient[group], memory.slopes, along(k, first_column + group * TILE), first_key, mask.whole,
                         keep, memory.pieces);
    }
}

template <query_source SOURCE, int GROUPS>
__global__ void __launch_bounds__(TILE_THREADS, 2) query_kernel(backward_job job) {
    __shared__ query_memory memory;
    const attention_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < query_items<SOURCE>(shape); item += gridDim.x) {
        const query_tile<SOURCE> queries = take_queries<SOURCE>(shape, item, memory.positions);
        if (SOURCE != ALL_POSITIONS && queries.count == 0) {
            continue;
        }
        const int64_t first_column = item % shape.column_groups * (GROUPS * TILE);
        load_queries(job, queries, memory.queries);
        tile_sums gradient[GROUPS] = {};
        for (int64_t key = first_visible(shape, queries.first) / TILE * TILE; key <= queries.last; key += TILE) {
            add_keys(job, queries, first_column, key, gradient, memory);
        }
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            scale_tile(gradient[group], shape.desc.scale);
            write_queries(shape, job.dq, shape.desc.q, queries, first_column + group * TILE, gradient[group]);
        }
    }
}

// dk += dp^T q, dv += P^T do
template <query_source SOURCE, int GROUPS>
__device__ void add_queries(const backward_job &job, const query_tile<SOURCE> &queries, const attention_item &at,
                            tile_sums (&dk)[GROUPS], tile_sums (&dv)[GROUPS], key_memory &memory) {
    const attention_shape &shape = job.shape;
    const int64_t first_key = at.block * TILE;
    const auto q = query_matrix(shape, job.q, shape.desc.q, queries);
    const matrix k = head_matrix(shape, job.k, shape.desc.k, at.head);
    const matrix v = head_matrix(shape, job.v, shape.desc.v, at.head);
    const auto d_o = query_matrix(shape, job.d_o, shape.desc.o, queries);
    const auto mask = make_mask(shape, queries, first_key);
    load_queries(job, queries, memory.queries);
    tile_sums weights = {}, slopes = {};
    multiply_matrices(weights, across(k, first_key), across(q, queries.row), 0, shape.desc.head_dim, memory.pieces);
    multiply_matrices(slopes, across(v, first_key), across(d_o, queries.row), 0, shape.desc.head_dim, memory.pieces);
    differentiate<true>(shape, memory.queries, queries, mask, first_key, weights, slopes);
    store_weights(memory.weights, weights);
    store_weights(memory.slopes, slopes);
    const auto keep = [&](int key, int query) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        const int64_t column = at.first_column + group * TILE;
        multiply_weights(dv[group], memory.weights, along(d_o, column), queries.row, mask.whole, keep, memory.pieces);
        multiply_weights(dk[group], memory.slopes, along(q, column), queries.row, mask.whole, keep, memory.pieces);
    }
}

// All tiles of queries that see a key of the item.
template <query_source SOURCE, int GROUPS>
__device__ void add_all_queries(const backward_job &job, const attention_item &at, tile_sums (&dk)[GROUPS],
                                tile_sums (&dv)[GROUPS], key_memory &memory) {
    const attention_shape &shape = job.shape;
    const int64_t first_key = at.block * TILE;
    // The last query that sees a key of the tile sees its last one.
    const int64_t last = first_key + TILE - 1 + shape.window - 1;
    if constexpr (SOURCE == ALL_POSITIONS) {
        for (int64_t query = first_key; query <= last && query < shape.desc.length; query += TILE) {
            add_queries(job, queries_at(shape, at.head, query), at, dk, dv, memory);
        }
    } else {
        const int64_t end = last + 1 < shape.desc.length ? last + 1 : shape.desc.length;
        const query_list list = list_of<SOURCE>(shape, at.head / shape.desc.heads);
        list_range entries = entries_of(list, {0, list.count}, first_key, end);
        for (; entries.begin < entries.end; entries.begin += TILE) {
            add_queries(job, queries_listed<SOURCE>(shape, at.head, entries, memory.positions), at, dk, dv, memory);
        }
    }
}

template <query_source SOURCE, int GROUPS>
__global__ void __launch_bounds__(TILE_THREADS, GROUPS == 1 ? 2 : 1) key_kernel(backward_job job) {
    __shared__ key_memory memory;
    const attention_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < item_count(shape); item += gridDim.x) {
        const attention_item at = make_item<GROUPS>(shape, item);
        const int64_t first_key = at.block * TILE, keys = shape.desc.length - first_key;
        tile_sums dk[GROUPS] = {}, dv[GROUPS] = {};
        add_all_queries<SOURCE>(job, at, dk, dv, memory);
        float *const dk_rows =
            job.dk + head_offset(shape, shape.desc.k, at.head) + first_key * shape.desc.k.length_stride;
        float *const dv_rows =
            job.dv + head_offset(shape, shape.desc.v, at.head) + first_key * shape.desc.v.length_stride;
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            const int64_t column = at.first_column + group * TILE;
            scale_tile(dk[group], shape.desc.scale);
            write_tile(dk_rows, shape.desc.k.length_stride, keys, shape.desc.head_dim, column, dk[group]);
            write_tile(dv_rows, shape.desc.v.length_stride, keys, shape.desc.head_dim, column, dv[group]);
        }
    }
}

template <query_source SOURCE, int GROUPS>
pan_status backward(const pan_stream *stream, const char *op, const backward_job &job) {
    CUDA_TRY(launch_items(stream, op, query_items<SOURCE>(job.shape), query_kernel<SOURCE, GROUPS>, job));
    return launch_items(stream, op, item_count(job.shape), key_kernel<SOURCE, GROUPS>, job);
}

template <query_source SOURCE> pan_status backward(const pan_stream *stream, const char *op, const backward_job &job) {
    return job.shape.groups == 1 ? backward<SOURCE, 1>(stream, op, job) : backward<SOURCE, 2>(stream, op, job);
}

// All but the chosen positions.
backward_job make_job(const pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                      const int32_t *query_rows, const void *q, const void *k, const void *v, const float *lse,
                      const void *d_o, void *dq, void *dk, void *dv, const float *delta) {
    return {make_shape(stream, desc, random, query_rows),
            static_cast<const float *>(q),
            static_cast<const float *>(k),
            static_cast<const float *>(v),
            static_cast<const float *>(d_o),
            lse,
            delta,
            static_cast<float *>(dq),
            static_cast<float *>(dk),
            static_cast<float *>(dv)};
}

int64_t delta_bytes(const pan_attention_desc *desc) {
    return align_up(statistics_count(desc) * static_cast<int64_t>(sizeof(float)));
}

pan_status write_delta(const pan_stream *stream, const char *op, const backward_job &job, const void *o, float *delta) {
    return for_each_row(stream, op, statistics_count(&job.shape.desc), job.shape.desc.head_dim,
                        delta_row{job.shape, static_cast<const float *>(o), job.d_o, delta});
}

} // namespace

pan_status cuda_attention_backward_workspace_size(pan_stream *, const pan_attention_desc *desc, int64_t *bytes) {
    *bytes = delta_bytes(desc);
    return PAN_OK;
}

pan_status cuda_attention_backward(pan_stream *stream, const pan_attention_desc *desc, const pan_random_state *random,
                                   const int32_t *query_rows, const void *q, const void *k, const void *v,
                                   const void *o, const float *lse, const void *d_o, void *dq, void *dk, void *dv,
                                   void *workspace, int64_t) {
    static const char op[] = "attention_backward";
    auto *delta = static_cast<float *>(workspace);
    const backward_job job = make_job(stream, desc, random, query_rows, q, k, v, lse, d_o, dq, dk, dv, delta);
    CUDA_TRY(write_delta(stream, op, job, o, delta));
    return query_rows == nullptr ? backward<ALL_POSITIONS>(stream, op, job) : backward<LISTED>(stream, op, job);
}

pan_status cuda_selected_attention_backward_workspace_size(pan_stream *, const pan_attention_desc *desc,
                                                           int64_t *bytes) {
    *bytes = delta_bytes(desc) + chosen_bytes(desc);
    return PAN_OK;
}

pan_status cuda_selected_attention_backward(pan_stream *stream, const pan_attention_desc *desc,
                                            const pan_random_state *random, const void *chosen, const void *q,
                                            const void *k, const void *v, const void *o, const float *lse,
                                            const void *d_o, void *dq, void *dk, void *dv, void *workspace, int64_t) {
    static const char op[] = "selected_attention_backward";
    const auto *is_chosen = static_cast<const float *>(chosen);
    auto *delta = static_cast<float *>(workspace);
    backward_job job = make_job(stream, desc, random, nullptr, q, k, v, lse, d_o, dq, dk, dv, delta);
    void *const lists = static_cast<char *>(workspace) + delta_bytes(desc);
    CUDA_TRY(list_chosen(stream, op, desc, is_chosen, lists, &job.shape.chosen));
    CUDA_TRY(clear_unchosen(stream, op, desc, is_chosen, job.dq, desc->q, nullptr));
    CUDA_TRY(write_delta(stream, op, job, o, delta));
    return backward<CHOSEN>(stream, op, job);
}
