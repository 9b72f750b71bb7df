// What attention to pooled blocks shares, forward and backward: where heads lie, how work is cut, who sees whom.
#ifndef PAN_CUDA_POOLED_ATTENTION_CUH
#define PAN_CUDA_POOLED_ATTENTION_CUH

#include "../core/pooled_blocks.h"
#include "block_lists.cuh"
#include "score_tile.cuh"

// Sizes of a call.
struct pooled_shape {
    pan_pooled_attention_desc desc;
    const int32_t *excluded;
    int64_t group; // query heads that share a key head
    int64_t query_tiles;
    int64_t key_tiles;
    int groups;            // tiles of columns that a block of threads sums up
    int64_t column_groups; // the columns of a head are cut into
};

inline pooled_shape make_pooled_shape(const pan_pooled_attention_desc *desc, const int32_t *excluded) {
    const int groups = desc->head_dim <= TILE ? 1 : 2;
    return {*desc,
            excluded,
            desc->heads / desc->kv_heads,
            ceil_div(desc->length, TILE),
            ceil_div(pan_pooled_keys(desc), TILE),
            groups,
            ceil_div(desc->head_dim, groups * TILE)};
}

// Launches kernel(job) for `items` items, which the blocks take in turn.
template <typename Job>
pan_status launch_pooled(const pan_stream *stream, const char *op, int64_t items, void (*kernel)(Job), const Job &job) {
    constexpr int64_t MOST = 0x7fffffff;
    const pan_pooled_attention_desc &desc = job.shape.desc;
    return launch(stream, op, desc.batch * desc.heads * desc.length, desc.head_dim,
                  {static_cast<unsigned>(items < MOST ? items : MOST), TILE_THREADS}, kernel, job);
}

// A tile of queries of a head.
struct pooled_queries {
    int64_t b;
    int64_t head;
    int64_t kv_head;
    int64_t first;
    int count;
};

__device__ inline pooled_queries pooled_queries_at(const pooled_shape &shape, int64_t b, int64_t head, int64_t tile) {
    const int64_t left = shape.desc.length - tile * TILE;
    return {b, head, head / shape.group, tile * TILE, static_cast<int>(left < TILE ? left : TILE)};
}

// Its place in lse.
__device__ inline int64_t first_statistic(const pooled_shape &shape, const pooled_queries &queries) {
    return (queries.b * shape.desc.heads + queries.head) * shape.desc.length + queries.first;
}

// The end of the keys that one of the queries may see.
__device__ inline int64_t key_end(const pooled_shape &shape, const pooled_queries &queries) {
    return pan_pooled_visible(&shape.desc, queries.first + queries.count - 1);
}

__device__ inline int64_t layout_offset(const pan_head_layout &layout, int64_t b, int64_t head) {
    return b * layout.batch_stride + head * layout.head_stride;
}

// Rows of q, o and their gradients.
__device__ inline matrix query_matrix(const pooled_shape &shape, const float *x, const pan_head_layout &layout,
                                      const pooled_queries &queries) {
    return make_matrix(x + layout_offset(layout, queries.b, queries.head), layout.length_stride, shape.desc.length,
                       shape.desc.head_dim);
}

// Rows of k and v.
__device__ inline matrix key_matrix(const pooled_shape &shape, const float *x, const pan_head_layout &layout,
                                    const pooled_queries &queries) {
    return make_matrix(x + layout_offset(layout, queries.b, queries.kv_head), layout.length_stride,
                       pan_pooled_keys(&shape.desc), shape.desc.head_dim);
}

__device__ inline void write_queries(const pooled_shape &shape, float *x, const pan_head_layout &layout,
                                     const pooled_queries &queries, int64_t first_column, const tile_sums &tile) {
    float *const first = x + layout_offset(layout, queries.b, queries.head) + queries.first * layout.length_stride;
    write_tile(first, layout.length_stride, queries.count, shape.desc.head_dim, first_column, tile);
}

__device__ inline const int32_t *list_of(const pooled_shape &shape, const pooled_queries &queries, int query) {
    return shape.excluded + pan_block_list_at(&shape.desc.excluded, shape.desc.length, queries.b, queries.kv_head,
                                              queries.first + query);
}

// How many keys a query sees, of all.
__device__ inline int64_t seen_keys(const pooled_shape &shape, const pooled_queries &queries, int query) {
    const int64_t visible = pan_pooled_visible(&shape.desc, queries.first + query);
    int64_t seen = visible;
    for (int64_t i = 0; i < shape.desc.excluded.slots; i++) {
        const int64_t block = list_of(shape, queries, query)[i];
        seen -= block >= 0 && shape.desc.always + block < visible;
    }
    return seen;
}

// What the queries of a tile see of a tile of keys, in shared memory.
struct seen_rows {
    int visible[TILE]; // of the keys, which are the first ones; 0 behind the last query
    unsigned long long excluded[TILE];
};

struct pooled_mask {
    const seen_rows *rows;
    bool whole; // all see all

    __device__ bool visible(int query, int key) const {
        return key < rows->visible[query] && (rows->excluded[query] >> key & 1) == 0;
    }
};

static_assert(TILE <= 64, "a bit for each key");

// By all threads of the block; a barrier must lie before the first use.
__device__ inline pooled_mask make_mask(const pooled_shape &shape, const pooled_queries &queries, int64_t first_key,
                                        seen_rows &rows) {
    const int query = static_cast<int>(threadIdx.x);
    const pan_pooled_attention_desc &desc = shape.desc;
    __syncthreads(); // the rows may still be read
    if (query < TILE) {
        const int64_t visible = pan_pooled_visible(&desc, queries.first + query) - first_key;
        rows.visible[query] =
            query >= queries.count || visible < 0 ? 0 : static_cast<int>(visible < TILE ? visible : TILE);
        rows.excluded[query] = 0;
        for (int64_t i = 0; query < queries.count && i < desc.excluded.slots; i++) {
            const int64_t block = list_of(shape, queries, query)[i], key = desc.always + block - first_key;
            if (block >= 0 && key >= 0 && key < TILE) {
                rows.excluded[query] |= 1ull << key;
            }
        }
    }
    const bool whole = desc.excluded.slots == 0 && queries.count == TILE &&
                       pan_pooled_visible(&desc, queries.first) - first_key >= TILE;
    return {&rows, whole};
}

// A score of a key from the product with it.
__device__ inline float pooled_score(const pooled_shape &shape, int64_t key, float product) {
    return shape.desc.scale * product + (key < shape.desc.always ? 0.0f : shape.desc.bias);
}

#endif
