// What attention forward and backward share: where heads lie, how they are cut into tiles, what a query sees, dropout.
#ifndef PAN_CUDA_ATTENTION_CUH
#define PAN_CUDA_ATTENTION_CUH

#include "../core/random.h"
#include "score_tile.cuh"

// Sizes and dropout of a call.
struct attention_shape {
    pan_attention_desc desc;
    const pan_random_state *random; // NULL: no dropout
    uint32_t threshold;
    float keep_scale;
    int64_t window;        // positions that a query sees at most, its own included
    int64_t blocks;        // of TILE positions
    int64_t column_groups; // the columns of a head are cut into
};

// GROUPS: tiles of columns that a block sums up.
template <int GROUPS> attention_shape make_shape(const pan_attention_desc *desc, const pan_random_state *random) {
    return {*desc,
            desc->dropout_probability > 0.0f ? random : nullptr,
            pan_random_threshold(desc->dropout_probability),
            static_cast<float>(1.0 / (1.0 - static_cast<double>(desc->dropout_probability))),
            desc->window > 0 && desc->window < desc->length ? desc->window : desc->length,
            ceil_div(desc->length, TILE),
            ceil_div(desc->head_dim, GROUPS * TILE)};
}

// A block of threads works on one block of positions of one head, and on one group of its columns.
struct attention_item {
    int64_t head; // over the batch
    int64_t block;
    int64_t first_column;
};

__host__ __device__ inline int64_t item_count(const attention_shape &shape) {
    return shape.desc.batch * shape.desc.heads * shape.blocks * shape.column_groups;
}

template <int GROUPS> __device__ attention_item make_item(const attention_shape &shape, int64_t item) {
    const int64_t position = item / shape.column_groups;
    return {position / shape.blocks, position % shape.blocks, item % shape.column_groups * (GROUPS * TILE)};
}

// Launches kernel(job) for `items` items, which the blocks take in turn.
template <typename Job>
pan_status launch_items(const pan_stream *stream, const char *op, const attention_shape &shape, void (*kernel)(Job),
                        const Job &job) {
    constexpr int64_t MOST = 0x7fffffff;
    const int64_t items = item_count(shape);
    return launch(stream, op, shape.desc.batch * shape.desc.heads * shape.desc.length, shape.desc.head_dim,
                  {static_cast<unsigned>(items < MOST ? items : MOST), TILE_THREADS}, kernel, job);
}

// Offset of element (b, 0, h, 0).
__device__ inline int64_t head_offset(const attention_shape &shape, const pan_head_layout &layout, int64_t head) {
    return head / shape.desc.heads * layout.batch_stride + head % shape.desc.heads * layout.head_stride;
}

__device__ inline matrix head_matrix(const attention_shape &shape, const float *x, const pan_head_layout &layout,
                                     int64_t head) {
    return make_matrix(x + head_offset(shape, layout, head), layout.length_stride, shape.desc.length,
                       shape.desc.head_dim);
}

// The first key that a query sees.
__device__ inline int64_t first_visible(const attention_shape &shape, int64_t query) {
    const int64_t first = query - shape.window + 1;
    return first > 0 ? first : 0;
}

// Which pairs of a tile of queries and a tile of keys count: the key lies neither behind the query nor in front of its
// window, and the query within the sequence. `whole`: all of them.
struct tile_mask {
    int last;    // largest distance of a key from its query, both counted from their tile's first
    int before;  // below the smallest one
    int queries; // of the tile
    bool whole;

    __device__ bool visible(int query, int key) const {
        return key - query <= last && key - query > before && query < queries;
    }
};

__device__ inline tile_mask make_mask(const attention_shape &shape, int64_t first_query, int64_t first_key) {
    // Within a tile distances are below TILE; larger ones need not be told apart.
    const auto limited = [](int64_t x) { return static_cast<int>(x > TILE ? TILE : x < -TILE ? -TILE : x); };
    const int64_t diagonal = first_query - first_key;
    const int last = limited(diagonal), before = limited(diagonal - shape.window);
    const int queries = limited(shape.desc.length - first_query);
    return {last, before, queries, last >= TILE - 1 && before <= -TILE && queries == TILE};
}

// State of the random bits of a query's weights; 0 without dropout.
__device__ inline uint64_t query_state(const attention_shape &shape, int64_t head, int64_t query) {
    return shape.random == nullptr ? 0
                                   : pan_random_row(shape.random, shape.desc.dropout_key,
                                                    static_cast<uint64_t>(head * shape.desc.length + query));
}

// keep / (1 - dropout)
__device__ inline float keep_factor(const attention_shape &shape, uint64_t state, int64_t key) {
    return pan_random_bits(state, static_cast<uint32_t>(key)) >= shape.threshold ? shape.keep_scale : 0.0f;
}

// Writes a tile of results for the positions from `first` on.
__device__ inline void write_tile(const attention_shape &shape, float *x, const pan_head_layout &layout, int64_t head,
                                  int64_t first, int64_t first_column, const tile_sums &tile) {
    float *const target = x + head_offset(shape, layout, head) + (first + tile_row()) * layout.length_stride;
    const int64_t rows = shape.desc.length - first - tile_row();
    const int64_t column = first_column + tile_column();
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            if (i < rows && column + j < shape.desc.head_dim) {
                target[i * layout.length_stride + column + j] = tile.at[i][j];
            }
        }
    }
}

__device__ inline void scale_tile(tile_sums &tile, float factor) {
#pragma unroll
    for (int i = 0; i < TILE_PART; i++) {
#pragma unroll
        for (int j = 0; j < TILE_PART; j++) {
            tile.at[i][j] *= factor;
        }
    }
}

#endif
