// Attention to pooled blocks, backward: weights are recomputed tile by tile, after Dao 2023 (arXiv 2307.08691), algorithm 2.
// One kernel goes along the keys for dq, another along the queries for dk and dv. Keys are few, so that the queries are cut
// into parts, whose sums are added up in order at the end.
#include "pooled_attention.cuh"

namespace {

// How many blocks of threads the second kernel wants.
constexpr int64_t WANTED_ITEMS = 512;

struct backward_job {
    pooled_shape shape;
    const float *q, *k, *v, *o, *d_o, *lse, *d_lse; // d_lse may be NULL
    float *dq, *dk, *dv;
    int64_t parts;
    float *sums; // (parts, 2, batch * kv_heads, keys, head_dim): of dk and of dv; not used for one part
};

// What backward needs to know of a tile of queries.
struct query_rows {
    float lse[TILE];
    float d_lse[TILE];
    float delta[TILE]; // D[t] = sum_c do[t,c] o[t,c]
    bool single[TILE]; // it sees one key
};

struct query_memory {
    tile_pieces pieces;
    tile_line slopes[TILE];
    query_rows queries;
    seen_rows seen;
};

struct key_memory {
    tile_pieces pieces;
    tile_line weights[TILE];
    tile_line slopes[TILE];
    query_rows queries;
    seen_rows seen;
};

static_assert(sizeof(key_memory) <= DEFAULT_SHARED_BYTES, "more than a block has");

// By all threads of the block, a warp for each row; a barrier must lie before the first use.
__device__ inline void load_queries(const backward_job &job, const pooled_queries &queries, query_rows &rows) {
    const pooled_shape &shape = job.shape;
    const int64_t statistic = first_statistic(shape, queries);
    const int lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    __syncthreads(); // the rows may still be read
    for (int r = static_cast<int>(threadIdx.x) / WARP_THREADS; r < queries.count; r += TILE_THREADS / WARP_THREADS) {
        const int64_t first =
            layout_offset(shape.desc.o, queries.b, queries.head) + (queries.first + r) * shape.desc.o.length_stride;
        float sum = 0.0f;
        for (int64_t c = lane; c < shape.desc.head_dim; c += WARP_THREADS) {
            sum = fmaf(job.d_o[first + c], job.o[first + c], sum);
        }
        sum = warp_reduce(sum, plus());
        if (lane == 0) {
            rows.lse[r] = job.lse[statistic + r];
            rows.d_lse[r] = job.d_lse == nullptr ? 0.0f : job.d_lse[statistic + r];
            rows.delta[r] = sum;
            rows.single[r] = seen_keys(shape, queries, r) == 1;
        }
    }
}

// Turns a pair's product and do . v into P and dp.
__device__ inline void differentiate_pair(const pooled_shape &shape, const query_rows &rows, int query, int64_t key,
                                          float &weight, float &slope) {
    const float lse = rows.lse[query];
    if (lse == -INFINITY) {
        weight = slope = 0.0f;
        return;
    }
    weight = expf(pooled_score(shape, key, weight) - lse);
    float change = slope - rows.delta[query];
    if (rows.single[query]) {
        change *= 0.0f; // a softmax over one key is constant, and this would be a rounding error; NaN stays NaN
    }
    slope = weight * (change + rows.d_lse[query]);
}

// Turns a tile of products and one of do . v into P and dp; 0 where the query does not see the key. The tiles' rows are
// queries, or keys if TRANSPOSED.
template <bool TRANSPOSED>
__device__ void differentiate(const pooled_shape &shape, const query_rows &rows, const pooled_mask &mask,
                              int64_t first_key, tile_sums &weights, tile_sums &slopes) {
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            const int query = TRANSPOSED ? tile_column() + j : tile_row() + i;
            const int key = TRANSPOSED ? tile_row() + i : tile_column() + j;
            if (mask.whole || mask.visible(query, key)) {
                differentiate_pair(shape, rows, query, first_key + key, weights.at[i][j], slopes.at[i][j]);
            } else {
                weights.at[i][j] = 0.0f;
                slopes.at[i][j] = 0.0f;
            }
        }
    }
}

// ---- along the keys ----

// dq += dp k
template <int GROUPS>
__device__ void add_keys(const backward_job &job, const pooled_queries &queries, int64_t first_column,
                         int64_t first_key, tile_sums (&gradient)[GROUPS], query_memory &memory) {
    const pooled_shape &shape = job.shape;
    const matrix q = query_matrix(shape, job.q, shape.desc.q, queries);
    const matrix k = key_matrix(shape, job.k, shape.desc.k, queries);
    const matrix v = key_matrix(shape, job.v, shape.desc.v, queries);
    const matrix d_o = query_matrix(shape, job.d_o, shape.desc.o, queries);
    const pooled_mask mask = make_mask(shape, queries, first_key, memory.seen);
    tile_sums weights = {}, slopes = {};
    multiply_matrices(weights, across(q, queries.first), across(k, first_key), 0, shape.desc.head_dim, memory.pieces);
    multiply_matrices(slopes, across(d_o, queries.first), across(v, first_key), 0, shape.desc.head_dim, memory.pieces);
    differentiate<false>(shape, memory.queries, mask, first_key, weights, slopes);
    store_weights(memory.slopes, slopes);
    const auto keep = [&](int query, int key) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        multiply_weights(gradient[group], memory.slopes, along(k, first_column + group * TILE), first_key, mask.whole,
                         keep, memory.pieces);
    }
}

__host__ __device__ int64_t query_items(const pooled_shape &shape) {
    return shape.desc.batch * shape.desc.heads * shape.query_tiles * shape.column_groups;
}

template <int GROUPS> __global__ void __launch_bounds__(TILE_THREADS, 2) query_kernel(backward_job job) {
    __shared__ query_memory memory;
    const pooled_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < query_items(shape); item += gridDim.x) {
        const int64_t place = item / shape.column_groups, head = place / shape.query_tiles;
        const int64_t first_column = item % shape.column_groups * (GROUPS * TILE);
        const pooled_queries queries = pooled_queries_at(shape, head / shape.desc.heads, head % shape.desc.heads,
                                                         shape.query_tiles - 1 - place % shape.query_tiles);
        load_queries(job, queries, memory.queries);
        tile_sums gradient[GROUPS] = {};
        for (int64_t key = 0; key < key_end(shape, queries); key += TILE) {
            add_keys(job, queries, first_column, key, gradient, memory);
        }
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            scale_tile(gradient[group], shape.desc.scale);
            write_queries(shape, job.dq, shape.desc.q, queries, first_column + group * TILE, gradient[group]);
        }
    }
}

// ---- along the queries ----

// A block of threads takes a part of the queries of a key head, one tile of its keys and one group of their columns.
struct key_item {
    int64_t kv_head; // over the batch
    int64_t part;
    int64_t first_key;
    int64_t first_column;
};

__host__ __device__ int64_t key_items(const pooled_shape &shape) {
    return shape.desc.batch * shape.desc.kv_heads * shape.key_tiles * shape.column_groups;
}

template <int GROUPS> __device__ key_item make_key_item(const backward_job &job, int64_t item) {
    const pooled_shape &shape = job.shape;
    const int64_t part = item % job.parts, columns = item / job.parts % shape.column_groups;
    const int64_t place = item / job.parts / shape.column_groups;
    return {place / shape.key_tiles, part, place % shape.key_tiles * TILE, columns * (GROUPS * TILE)};
}

// dk += dp^T q, dv += P^T do
template <int GROUPS>
__device__ void add_queries(const backward_job &job, const pooled_queries &queries, const key_item &at,
                            tile_sums (&dk)[GROUPS], tile_sums (&dv)[GROUPS], key_memory &memory) {
    const pooled_shape &shape = job.shape;
    const matrix q = query_matrix(shape, job.q, shape.desc.q, queries);
    const matrix k = key_matrix(shape, job.k, shape.desc.k, queries);
    const matrix v = key_matrix(shape, job.v, shape.desc.v, queries);
    const matrix d_o = query_matrix(shape, job.d_o, shape.desc.o, queries);
    load_queries(job, queries, memory.queries);
    const pooled_mask mask = make_mask(shape, queries, at.first_key, memory.seen);
    tile_sums weights = {}, slopes = {};
    multiply_matrices(weights, across(k, at.first_key), across(q, queries.first), 0, shape.desc.head_dim,
                      memory.pieces);
    multiply_matrices(slopes, across(v, at.first_key), across(d_o, queries.first), 0, shape.desc.head_dim,
                      memory.pieces);
    differentiate<true>(shape, memory.queries, mask, at.first_key, weights, slopes);
    store_weights(memory.weights, weights);
    store_weights(memory.slopes, slopes);
    const auto keep = [&](int key, int query) { return mask.visible(query, key); };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        const int64_t column = at.first_column + group * TILE;
        multiply_weights(dv[group], memory.weights, along(d_o, column), queries.first, mask.whole, keep, memory.pieces);
        multiply_weights(dk[group], memory.slopes, along(q, column), queries.first, mask.whole, keep, memory.pieces);
    }
}

// All tiles of queries of the part that may see a key of the item.
template <int GROUPS>
__device__ void add_all_queries(const backward_job &job, const key_item &at, tile_sums (&dk)[GROUPS],
                                tile_sums (&dv)[GROUPS], key_memory &memory) {
    const pooled_shape &shape = job.shape;
    const int64_t b = at.kv_head / shape.desc.kv_heads, kv_head = at.kv_head % shape.desc.kv_heads;
    for (int64_t tile = at.part; tile < shape.query_tiles; tile += job.parts) {
        for (int64_t head = kv_head * shape.group; head < (kv_head + 1) * shape.group; head++) {
            const pooled_queries queries = pooled_queries_at(shape, b, head, tile);
            if (at.first_key < key_end(shape, queries)) {
                add_queries(job, queries, at, dk, dv, memory);
            }
        }
    }
}

// Elements of the sums of a part for dk, or for dv.
__host__ __device__ int64_t part_elements(const pooled_shape &shape) {
    return shape.desc.batch * shape.desc.kv_heads * pan_pooled_keys(&shape.desc) * shape.desc.head_dim;
}

// dk or dv, or the part's sums for it.
template <int GROUPS>
__device__ void write_keys(const backward_job &job, const key_item &at, float *gradient, const pan_head_layout &layout,
                           int array, tile_sums (&tiles)[GROUPS]) {
    const pan_pooled_attention_desc &desc = job.shape.desc;
    const int64_t keys = pan_pooled_keys(&desc), stride = job.parts == 1 ? layout.length_stride : desc.head_dim;
    float *const rows = job.parts == 1
                            ? gradient + layout_offset(layout, at.kv_head / desc.kv_heads, at.kv_head % desc.kv_heads)
                            : job.sums + (at.part * 2 + array) * part_elements(job.shape) + at.kv_head * keys * stride;
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        write_tile(rows + at.first_key * stride, stride, keys - at.first_key, desc.head_dim,
                   at.first_column + group * TILE, tiles[group]);
    }
}

template <int GROUPS>
__global__ void __launch_bounds__(TILE_THREADS, GROUPS == 1 ? 2 : 1) key_kernel(backward_job job) {
    __shared__ key_memory memory;
    const pooled_shape &shape = job.shape;
    for (int64_t item = blockIdx.x; item < key_items(shape) * job.parts; item += gridDim.x) {
        const key_item at = make_key_item<GROUPS>(job, item);
        tile_sums dk[GROUPS] = {}, dv[GROUPS] = {};
        add_all_queries(job, at, dk, dv, memory);
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            scale_tile(dk[group], shape.desc.scale);
        }
        write_keys(job, at, job.dk, shape.desc.k, 0, dk);
        write_keys(job, at, job.dv, shape.desc.v, 1, dv);
    }
}

// dk and dv from the parts' sums, one after the other.
struct add_parts {
    backward_job job;

    __device__ void operator()(int64_t i) const {
        const pan_pooled_attention_desc &desc = job.shape.desc;
        const int64_t elements = part_elements(job.shape), element = i % elements;
        const bool values = i >= elements;
        float sum = job.sums[i];
        for (int64_t part = 1; part < job.parts; part++) {
            sum += job.sums[part * 2 * elements + i];
        }
        const int64_t row = element / desc.head_dim, keys = pan_pooled_keys(&desc), kv_head = row / keys;
        const pan_head_layout &layout = values ? desc.v : desc.k;
        float *const target = values ? job.dv : job.dk;
        target[layout_offset(layout, kv_head / desc.kv_heads, kv_head % desc.kv_heads) +
               row % keys * layout.length_stride + element % desc.head_dim] = sum;
    }
};

int64_t part_count(const pooled_shape &shape) {
    const int64_t wanted = ceil_div(WANTED_ITEMS, key_items(shape));
    return wanted < shape.query_tiles ? wanted : shape.query_tiles;
}

template <int GROUPS> pan_status backward(const pan_stream *stream, const char *op, const backward_job &job) {
    CUDA_TRY(launch_pooled(stream, op, query_items(job.shape), query_kernel<GROUPS>, job));
    return launch_pooled(stream, op, key_items(job.shape) * job.parts, key_kernel<GROUPS>, job);
}

} // namespace

pan_status cuda_pooled_attention_backward_workspace_size(pan_stream *, const pan_pooled_attention_desc *desc,
                                                         int64_t *bytes) {
    const pooled_shape shape = make_pooled_shape(desc, nullptr);
    const int64_t parts = part_count(shape);
    *bytes = parts == 1 ? 0 : 2 * parts * part_elements(shape) * static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

pan_status cuda_pooled_attention_backward(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                          const int32_t *excluded, const void *q, const void *k, const void *v,
                                          const void *o, const float *lse, const void *d_o, const float *d_lse,
                                          void *dq, void *dk, void *dv, void *workspace, int64_t) {
    static const char op[] = "pooled_attention_backward";
    backward_job job = {};
    job.shape = make_pooled_shape(desc, excluded);
    job.q = static_cast<const float *>(q);
    job.k = static_cast<const float *>(k);
    job.v = static_cast<const float *>(v);
    job.o = static_cast<const float *>(o);
    job.d_o = static_cast<const float *>(d_o);
    job.lse = lse;
    job.d_lse = d_lse;
    job.dq = static_cast<float *>(dq);
    job.dk = static_cast<float *>(dk);
    job.dv = static_cast<float *>(dv);
    job.parts = part_count(job.shape);
    job.sums = static_cast<float *>(workspace);
    CUDA_TRY(report_bad_blocks(stream, op, desc->excluded, desc->length, excluded));
    CUDA_TRY(job.shape.groups == 1 ? backward<1>(stream, op, job) : backward<2>(stream, op, job));
    return job.parts == 1 ? PAN_OK
                          : for_each(stream, op, 2 * desc->batch * desc->kv_heads * pan_pooled_keys(desc),
                                     desc->head_dim, add_parts{job});
}
