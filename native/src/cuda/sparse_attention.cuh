// What sparse attention forward and backward share: where heads lie, and how a warp goes through the keys of a query.
#ifndef PAN_CUDA_SPARSE_ATTENTION_CUH
#define PAN_CUDA_SPARSE_ATTENTION_CUH

#include "../core/sparse_attention.h"
#include "block_lists.cuh"
#include "score_tile.cuh"

// Sizes of a call. A warp sums up a group of 32 `COLUMNS` columns of a query, for which it forms all scores.
struct sparse_shape {
    pan_sparse_attention_desc desc;
    const int32_t *blocks;
    int64_t group; // query heads that have keys in common
    int columns;   // 32 columns of a warp each
    int64_t column_groups;
};

inline sparse_shape make_sparse_shape(const pan_sparse_attention_desc *desc, const int32_t *blocks) {
    const int columns = desc->head_dim <= WARP_THREADS ? 1 : desc->head_dim <= 2 * WARP_THREADS ? 2 : 4;
    return {*desc, blocks, desc->heads / desc->kv_heads, columns, ceil_div(desc->head_dim, columns * WARP_THREADS)};
}

// Elements of lse.
inline int64_t statistics_count(const pan_sparse_attention_desc *desc) {
    return desc->batch * desc->heads * desc->length;
}

// A head of keys.
struct key_head {
    int64_t b, number;

    __device__ int64_t offset(const pan_head_layout &layout) const {
        return b * layout.batch_stride + number * layout.head_stride;
    }
};

__device__ inline key_head make_key_head(const sparse_shape &shape, int64_t index) {
    return {index / shape.desc.kv_heads, index % shape.desc.kv_heads};
}

// A query head of a key head's group.
__device__ inline int64_t query_offset(const sparse_shape &shape, const key_head &head, int64_t g,
                                       const pan_head_layout &layout) {
    return head.b * layout.batch_stride + (head.number * shape.group + g) * layout.head_stride;
}

// The number in lse of its query 0.
__device__ inline int64_t first_statistic(const sparse_shape &shape, const key_head &head, int64_t g) {
    return (head.b * shape.desc.heads + head.number * shape.group + g) * shape.desc.length;
}

__device__ inline const int32_t *list_of(const sparse_shape &shape, const key_head &head, int64_t query) {
    return shape.blocks + pan_block_list_at(&shape.desc.lists, shape.desc.length, head.b, head.number, query);
}

// ---- a query's warp ----

// Neighbouring warps have the query heads of one query, which see the same keys.
struct warp_query {
    key_head head;
    int64_t number;
    int64_t t;    // its position
    int64_t q, o; // where the query lies in q and dq, in o and do
    int64_t statistic;
    int64_t first_column;
};

__host__ __device__ inline int64_t warp_items(const sparse_shape &shape) {
    return shape.desc.batch * shape.desc.heads * shape.desc.length * shape.column_groups;
}

template <int COLUMNS> __device__ warp_query make_warp_query(const sparse_shape &shape, int64_t item) {
    const int64_t row = item / shape.column_groups, g = row % shape.group, place = row / shape.group;
    const int64_t number = place % shape.desc.length;
    const key_head head = make_key_head(shape, place / shape.desc.length);
    return {head,
            number,
            shape.desc.first + number,
            query_offset(shape, head, g, shape.desc.q) + number * shape.desc.q.length_stride,
            query_offset(shape, head, g, shape.desc.o) + number * shape.desc.o.length_stride,
            first_statistic(shape, head, g) + number,
            item % shape.column_groups * (COLUMNS * WARP_THREADS)};
}

// Keys of equal ranges, `together` of which the lanes take at once, `narrow` keys of each.
struct key_ranges {
    int64_t count;
    int64_t width; // of a range
    int narrow, together;
};

__device__ inline key_ranges one_range(int64_t width) {
    return {1, width, WARP_THREADS, 1};
}

__device__ inline key_ranges listed_ranges(const pan_block_lists &lists, int64_t t) {
    if (lists.slots == 0) {
        return {0, 0, WARP_THREADS, 1};
    }
    const int64_t width = lists.block_size <= t ? lists.block_size : t + 1;
    const int narrow = width < WARP_THREADS ? static_cast<int>(width) : WARP_THREADS;
    return {lists.slots, width, narrow, WARP_THREADS / narrow};
}

// body(s, visible) for all keys that a query sees, each in one lane; those of a call by the whole warp. There is one
// place from which the body is called, because it is large.
template <typename Body>
__device__ void for_seen_keys(const sparse_shape &shape, const warp_query &query, const Body &body) {
    enum { FIRST, LISTED, LAST, KINDS };
    const pan_block_lists &lists = shape.desc.lists;
    const pan_seen_keys seen = pan_seen_keys_of(&shape.desc, query.t);
    const int32_t *const list = lists.slots > 0 ? list_of(shape, query.head, query.number) : nullptr;
    const int lane = static_cast<int>(threadIdx.x);
#pragma unroll 1
    for (int kind = FIRST; kind < KINDS; kind++) {
        const key_ranges ranges = kind == FIRST    ? one_range(seen.first)
                                  : kind == LISTED ? listed_ranges(lists, query.t)
                                                   : one_range(query.t + 1 - seen.last);
        const int slot = lane / ranges.narrow, offset = lane % ranges.narrow;
        for (int64_t first = 0; first < ranges.count; first += ranges.together) {
            int64_t begin = kind == FIRST ? 0 : seen.last;
            pan_key_range keys = {begin, begin + ranges.width};
            if (kind == LISTED) {
                const int32_t entry = slot < ranges.together && first + slot < lists.slots ? list[first + slot] : -1;
                begin = entry * lists.block_size;
                keys = pan_listed_keys(&shape.desc, &seen, entry);
            }
            for (int64_t part = 0; part < ranges.width; part += WARP_THREADS) {
                const int64_t s = begin + part + offset;
                const bool visible = s >= keys.begin && s < keys.end;
                if (__ballot_sync(WHOLE_WARP, visible) != 0) {
                    body(s, visible);
                }
            }
        }
    }
}

// a . b, term by term as multiply_matrices() adds them up.
__device__ inline float dot(const float *a, const float *b, int64_t count) {
    float sum = 0.0f;
    for (int64_t c = 0; c < count; c++) {
        sum = fmaf(a[c], b[c], sum);
    }
    return sum;
}

// sums += the lanes' weights times the rows of their keys, of the visible ones; a lane has every 32nd column.
template <int COLUMNS>
__device__ void add_rows(float (&sums)[COLUMNS], const float *rows, int64_t stride, int64_t columns,
                         int64_t first_column, int64_t key, float weight, bool visible) {
    const unsigned seen = __ballot_sync(WHOLE_WARP, visible);
    const int64_t column = first_column + threadIdx.x;
    for (int i = 0; i < WARP_THREADS; i++) {
        const float factor = __shfl_sync(WHOLE_WARP, weight, i);
        const int64_t at = __shfl_sync(WHOLE_WARP, key, i) * stride;
        if ((seen >> i & 1) == 0) {
            continue;
        }
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            if (column + j * WARP_THREADS < columns) {
                sums[j] = fmaf(factor, rows[at + column + j * WARP_THREADS], sums[j]);
            }
        }
    }
}

// Writes a warp's columns of a row.
template <int COLUMNS>
__device__ void write_row(float *row, const float (&values)[COLUMNS], int64_t columns, int64_t first_column,
                          float factor) {
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
        const int64_t column = first_column + threadIdx.x + j * WARP_THREADS;
        if (column < columns) {
            row[column] = factor * values[j];
        }
    }
}

// Launches kernel(job), whose warps take the items in turn.
template <typename Job>
pan_status launch_warps(const pan_stream *stream, const char *op, void (*kernel)(Job), const Job &job) {
    constexpr int WARPS = BLOCK_THREADS / WARP_THREADS;
    const int64_t blocks = ceil_div(warp_items(job.shape), WARPS);
    return launch(stream, op, statistics_count(&job.shape.desc), job.shape.desc.head_dim,
                  {static_cast<unsigned>(blocks < 0x7fffffff ? blocks : 0x7fffffff), dim3(WARP_THREADS, WARPS)}, kernel,
                  job);
}

// The first item of a warp, and how far its next one is.
__device__ inline int64_t first_item() {
    return static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
}

__device__ inline int64_t item_step() {
    return static_cast<int64_t>(gridDim.x) * blockDim.y;
}

#endif
