// Sparse attention, backward: weights are recomputed. One kernel goes along a query's keys for dq, a warp for each query;
// another gathers the queries that see one of a tile of keys for dk and dv, so that no two blocks add to one place.
#include "sparse_attention.cuh"

namespace {

struct backward_job {
    sparse_shape shape;
    int64_t key_tiles; // of a head
    int64_t key_column_groups;
    const float *q, *k, *v, *o, *lse, *d_o, *d_lse;
    float *dq, *dk, *dv, *delta;
};

// ---- along the keys ----

template <int COLUMNS> __device__ void query_backward(const backward_job &job, const warp_query &query) {
    const pan_sparse_attention_desc &desc = job.shape.desc;
    const float *const k = job.k + query.head.offset(desc.k), *const v = job.v + query.head.offset(desc.v);
    const float *const q = job.q + query.q, *const d_o = job.d_o + query.o;
    const float lse = job.lse[query.statistic], d_lse = job.d_lse == nullptr ? 0.0f : job.d_lse[query.statistic];
    // A query with a single key has o = v and do . v = D to the last bit, because both are summed up in the same order:
    // a softmax over one key is constant, and its slope is 0 and no rounding error.
    const float delta = dot(d_o, job.o + query.o, desc.head_dim);
    float gradient[COLUMNS] = {};
    for_seen_keys(job.shape, query, [&](int64_t key, bool visible) {
        float slope = 0.0f;
        if (visible) {
            const float p = expf(desc.scale * dot(q, k + key * desc.k.length_stride, desc.head_dim) - lse);
            slope = p * ((dot(d_o, v + key * desc.v.length_stride, desc.head_dim) - delta) + d_lse);
        }
        add_rows(gradient, k, desc.k.length_stride, desc.head_dim, query.first_column, key, slope, visible);
    });
    write_row(job.dq + query.q, gradient, desc.head_dim, query.first_column, desc.scale);
    if (query.first_column == 0 && threadIdx.x == 0) {
        job.delta[query.statistic] = delta;
    }
}

template <int COLUMNS> __global__ void __launch_bounds__(BLOCK_THREADS) query_kernel(backward_job job) {
    for (int64_t item = first_item(); item < warp_items(job.shape); item += item_step()) {
        query_backward<COLUMNS>(job, make_warp_query<COLUMNS>(job.shape, item));
    }
}

// ---- along the queries ----

// A bit for each key of a tile.
using key_set = unsigned long long;
constexpr key_set ALL_KEYS = ~0ull;
static_assert(TILE == 64, "a tile's keys are the bits of a word");

constexpr int TILE_WARPS = TILE_THREADS / WARP_THREADS;
constexpr int MOST_WAITING = TILE - 1 + TILE_THREADS;

struct key_memory {
    tile_pieces pieces;
    tile_line weights[TILE];
    tile_line slopes[TILE];
    float lse[TILE];
    float delta[TILE];
    float d_lse[TILE];
    key_set seen[MOST_WAITING]; // of the queries that wait to be taken, by ascending position
    int32_t waiting[MOST_WAITING];
    int32_t found[TILE_WARPS]; // by each warp
};

static_assert(sizeof(key_memory) <= DEFAULT_SHARED_BYTES, "more than a block has");

// The keys of [begin, end) among the TILE keys from `first` on.
__device__ key_set keys_between(int64_t begin, int64_t end, int64_t first) {
    const int64_t low = begin > first ? begin - first : 0, high = end - first < TILE ? end - first : TILE;
    return low >= high ? 0 : (ALL_KEYS << low) & (ALL_KEYS >> (TILE - high));
}

__device__ key_set keys_seen(const sparse_shape &shape, const key_head &head, int64_t t, int64_t first_key) {
    const pan_seen_keys seen = pan_seen_keys_of(&shape.desc, t);
    key_set keys = keys_between(0, seen.first, first_key) | keys_between(seen.last, t + 1, first_key);
    if (shape.desc.lists.slots > 0) {
        const int32_t *const list = list_of(shape, head, t);
        for (int64_t i = 0; i < shape.desc.lists.slots; i++) {
            const pan_key_range listed = pan_listed_keys(&shape.desc, &seen, list[i]);
            keys |= keys_between(listed.begin, listed.end, first_key);
        }
    }
    return keys;
}

// A block of threads works on one tile of keys of one head, and on one group of its columns.
struct key_item {
    key_head head;
    int64_t first_key;
    int64_t first_column;
};

__host__ __device__ inline int64_t key_items(const backward_job &job) {
    return job.shape.desc.batch * job.shape.desc.kv_heads * job.key_tiles * job.key_column_groups;
}

template <int GROUPS> __device__ key_item make_key_item(const backward_job &job, int64_t item) {
    const int64_t place = item / job.key_column_groups;
    return {make_key_head(job.shape, place / job.key_tiles), place % job.key_tiles * TILE,
            item % job.key_column_groups * (GROUPS * TILE)};
}

// Appends those of TILE_THREADS positions from `first` on that see a key of the tile; returns how many wait then.
__device__ int append_queries(const sparse_shape &shape, const key_item &at, int64_t first, int waiting,
                              key_memory &memory) {
    const int64_t t = first + threadIdx.x;
    const int warp = static_cast<int>(threadIdx.x) / WARP_THREADS, lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    const key_set seen = t < shape.desc.length ? keys_seen(shape, at.head, t, at.first_key) : 0;
    const unsigned found = __ballot_sync(WHOLE_WARP, seen != 0);
    if (lane == 0) {
        memory.found[warp] = __popc(found);
    }
    __syncthreads();
    int place = waiting + __popc(found & ((1u << lane) - 1));
    for (int w = 0; w < TILE_WARPS; w++) {
        place += w < warp ? memory.found[w] : 0;
        waiting += memory.found[w];
    }
    if (seen != 0) {
        memory.seen[place] = seen;
        memory.waiting[place] = static_cast<int32_t>(t);
    }
    __syncthreads();
    return waiting;
}

// Removes the first `taken` of the queries that wait.
__device__ int remove_queries(int taken, int waiting, key_memory &memory) {
    const int from = taken + static_cast<int>(threadIdx.x);
    key_set seen = 0;
    int32_t t = 0;
    __syncthreads(); // they may still be read
    if (from < waiting) {
        seen = memory.seen[from];
        t = memory.waiting[from];
    }
    __syncthreads();
    if (from < waiting) {
        memory.seen[threadIdx.x] = seen;
        memory.waiting[threadIdx.x] = t;
    }
    __syncthreads();
    return waiting - taken;
}

// Up to TILE of the queries that wait, of one query head.
struct gathered_queries {
    int64_t q, o; // where the head's query 0 lies
    int64_t statistic;
    int count;
    bool whole; // all of a tile, and each sees all keys
};

__device__ void load_statistics(const backward_job &job, const gathered_queries &queries, key_memory &memory) {
    const int query = static_cast<int>(threadIdx.x);
    if (query < queries.count) {
        const int64_t statistic = queries.statistic + memory.waiting[query];
        memory.lse[query] = job.lse[statistic];
        memory.delta[query] = job.delta[statistic];
        memory.d_lse[query] = job.d_lse == nullptr ? 0.0f : job.d_lse[statistic];
    }
}

// Turns a tile of scores and one of do . v, whose rows are keys, into P and dp; 0 where the query does not see the key.
__device__ void differentiate(const backward_job &job, const gathered_queries &queries, const key_memory &memory,
                              tile_sums &weights, tile_sums &slopes) {
#pragma unroll
    for (int j = 0; j < TILE_PART; j++) {
        const int query = tile_column() + j;
        const key_set seen = query < queries.count ? memory.seen[query] : 0;
#pragma unroll
        for (int i = 0; i < TILE_PART; i++) {
            float &weight = weights.at[i][j], &slope = slopes.at[i][j];
            if ((seen >> (tile_row() + i) & 1) != 0) {
                weight = expf(job.shape.desc.scale * weight - memory.lse[query]);
                slope = weight * ((slope - memory.delta[query]) + memory.d_lse[query]);
            } else {
                weight = slope = 0.0f;
            }
        }
    }
}

// dk += dp^T q, dv += P^T do
template <int GROUPS>
__device__ void add_queries(const backward_job &job, const key_item &at, const gathered_queries &queries,
                            tile_sums (&dk)[GROUPS], tile_sums (&dv)[GROUPS], key_memory &memory) {
    const pan_sparse_attention_desc &desc = job.shape.desc;
    const auto keys = [&](const float *x, const pan_head_layout &layout) {
        return make_matrix(x + at.head.offset(layout), layout.length_stride, desc.length, desc.head_dim);
    };
    const auto rows = [&](const float *x, const pan_head_layout &layout) {
        const matrix all = make_matrix(x, layout.length_stride, desc.length, desc.head_dim);
        return listed_rows{all, memory.waiting, queries.count, desc.head_dim, all.vectors};
    };
    const matrix k = keys(job.k, desc.k), v = keys(job.v, desc.v);
    const listed_rows q = rows(job.q + queries.q, desc.q), d_o = rows(job.d_o + queries.o, desc.o);
    load_statistics(job, queries, memory);
    tile_sums weights = {}, slopes = {};
    multiply_matrices(weights, across(k, at.first_key), across(q, 0), 0, desc.head_dim, memory.pieces);
    multiply_matrices(slopes, across(v, at.first_key), across(d_o, 0), 0, desc.head_dim, memory.pieces);
    differentiate(job, queries, memory, weights, slopes);
    store_weights(memory.weights, weights);
    store_weights(memory.slopes, slopes);
    const auto keep = [&](int key, int query) { return query < queries.count && (memory.seen[query] >> key & 1) != 0; };
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        const int64_t column = at.first_column + group * TILE;
        multiply_weights(dv[group], memory.weights, along(d_o, column), 0, queries.whole, keep, memory.pieces);
        multiply_weights(dk[group], memory.slopes, along(q, column), 0, queries.whole, keep, memory.pieces);
    }
}

// The first queries that wait, of all query heads.
template <int GROUPS>
__device__ void take_queries(const backward_job &job, const key_item &at, int count, tile_sums (&dk)[GROUPS],
                             tile_sums (&dv)[GROUPS], key_memory &memory) {
    bool whole = count == TILE;
    for (int i = 0; i < count; i++) {
        whole &= memory.seen[i] == ALL_KEYS;
    }
    for (int64_t g = 0; g < job.shape.group; g++) {
        const gathered_queries queries = {query_offset(job.shape, at.head, g, job.shape.desc.q),
                                          query_offset(job.shape, at.head, g, job.shape.desc.o),
                                          first_statistic(job.shape, at.head, g), count, whole};
        __syncthreads(); // the statistics of those before may still be read
        add_queries(job, at, queries, dk, dv, memory);
    }
}

// The position behind the last query that can see a key of the tile.
__device__ int64_t last_query_end(const sparse_shape &shape, int64_t first_key) {
    const pan_sparse_attention_desc &desc = shape.desc;
    const bool window_alone = desc.lists.slots == 0 && first_key >= desc.globals;
    const int64_t end = first_key + TILE - 1 + desc.window;
    return window_alone && end < desc.length ? end : desc.length;
}

__device__ void write_keys(const backward_job &job, const key_item &at, const pan_head_layout &layout, float *target,
                           int64_t first_column, const tile_sums &tile, float factor) {
    const pan_sparse_attention_desc &desc = job.shape.desc;
    float *const rows = target + at.head.offset(layout) + (at.first_key + tile_row()) * layout.length_stride;
    const int64_t left = desc.length - at.first_key - tile_row(), column = first_column + tile_column();
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            if (i < left && column + j < desc.head_dim) {
                rows[i * layout.length_stride + column + j] = factor * tile.at[i][j];
            }
        }
    }
}

template <int GROUPS>
__global__ void __launch_bounds__(TILE_THREADS, GROUPS == 1 ? 2 : 1) key_kernel(backward_job job) {
    __shared__ key_memory memory;
    for (int64_t item = blockIdx.x; item < key_items(job); item += gridDim.x) {
        const key_item at = make_key_item<GROUPS>(job, item);
        const int64_t end = last_query_end(job.shape, at.first_key);
        tile_sums dk[GROUPS] = {}, dv[GROUPS] = {};
        int waiting = 0;
        for (int64_t first = at.first_key; first < end; first += TILE_THREADS) {
            waiting = append_queries(job.shape, at, first, waiting, memory);
            const bool last = first + TILE_THREADS >= end;
            while (waiting >= TILE || (last && waiting > 0)) {
                const int count = waiting < TILE ? waiting : TILE;
                take_queries(job, at, count, dk, dv, memory);
                waiting = remove_queries(count, waiting, memory);
            }
        }
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            const int64_t column = at.first_column + group * TILE;
            write_keys(job, at, job.shape.desc.k, job.dk, column, dk[group], job.shape.desc.scale);
            write_keys(job, at, job.shape.desc.v, job.dv, column, dv[group], 1.0f);
        }
    }
}

pan_status launch_keys(const pan_stream *stream, const char *op, const backward_job &job) {
    const int64_t items = key_items(job), most = 0x7fffffff;
    const launch_shape shape = {static_cast<unsigned>(items < most ? items : most), TILE_THREADS};
    const pan_sparse_attention_desc *desc = &job.shape.desc;
    return launch(stream, op, statistics_count(desc), desc->head_dim, shape,
                  desc->head_dim <= TILE ? key_kernel<1> : key_kernel<2>, job);
}

} // namespace

pan_status cuda_sparse_attention_backward_workspace_size(pan_stream *, const pan_sparse_attention_desc *desc,
                                                         int64_t *bytes) {
    *bytes = statistics_count(desc) * static_cast<int64_t>(sizeof(float));
    return PAN_OK;
}

pan_status cuda_sparse_attention_backward(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                          const int32_t *blocks, const void *q, const void *k, const void *v,
                                          const void *o, const float *lse, const void *d_o, const float *d_lse,
                                          void *dq, void *dk, void *dv, void *workspace, int64_t) {
    static const char op[] = "sparse_attention_backward";
    backward_job job = {};
    job.shape = make_sparse_shape(desc, blocks);
    job.key_tiles = ceil_div(desc->length, TILE);
    job.key_column_groups = ceil_div(desc->head_dim, desc->head_dim <= TILE ? TILE : 2 * TILE);
    job.q = static_cast<const float *>(q);
    job.k = static_cast<const float *>(k);
    job.v = static_cast<const float *>(v);
    job.o = static_cast<const float *>(o);
    job.lse = lse;
    job.d_o = static_cast<const float *>(d_o);
    job.d_lse = d_lse;
    job.dq = static_cast<float *>(dq);
    job.dk = static_cast<float *>(dk);
    job.dv = static_cast<float *>(dv);
    job.delta = static_cast<float *>(workspace);
    CUDA_TRY(report_bad_blocks(stream, op, desc->lists, desc->length, blocks));
    const int columns = job.shape.columns;
    CUDA_TRY(launch_warps(stream, op,
                          columns == 1   ? query_kernel<1>
                          : columns == 2 ? query_kernel<2>
                                         : query_kernel<4>,
                          job));
    return launch_keys(stream, op, job);
}
