// What attention forward and backward share: where heads lie, how keys are cut into tiles, dropout.
#ifndef PAN_CUDA_ATTENTION_CUH
#define PAN_CUDA_ATTENTION_CUH

#include "../core/random.h"
#include "score_tile.cuh"

// The positions of each sequence that are queries, ascending: those of sequence b are the first count[b] from
// list + b * length on. In device memory.
struct chosen_positions {
    const int32_t *list;
    const int32_t *count;
};

// Sizes and dropout of a call.
struct attention_shape {
    pan_attention_desc desc;
    const pan_random_state *random; // NULL: no dropout
    uint32_t threshold;
    float keep_scale;
    int64_t window;        // positions that a query sees at most, its own included
    int64_t blocks;        // of TILE positions
    int groups;            // tiles of columns that a block of threads sums up
    int64_t column_groups; // the columns of a head are cut into
    const int32_t *listed; // query_rows; NULL: every position is a query
    int64_t list_blocks;   // of TILE entries
    cuda_report *report;
    chosen_positions chosen; // without a list: NULL, every position is a query
};

inline attention_shape make_shape(const pan_stream *stream, const pan_attention_desc *desc,
                                  const pan_random_state *random, const int32_t *query_rows) {
    const int groups = desc->head_dim <= TILE ? 1 : 2;
    return {*desc,
            desc->dropout_probability > 0.0f ? random : nullptr,
            pan_random_threshold(desc->dropout_probability),
            static_cast<float>(1.0 / (1.0 - static_cast<double>(desc->dropout_probability))),
            desc->window > 0 && desc->window < desc->length ? desc->window : desc->length,
            ceil_div(desc->length, TILE),
            groups,
            ceil_div(desc->head_dim, groups * TILE),
            query_rows,
            ceil_div(desc->queries, TILE),
            state_of(stream)->device->report,
            {}};
}

// Elements of lse.
inline int64_t statistics_count(const pan_attention_desc *desc) {
    return desc->heads * (desc->queries > 0 ? desc->queries : desc->batch * desc->length);
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
pan_status launch_items(const pan_stream *stream, const char *op, int64_t items, void (*kernel)(Job), const Job &job) {
    constexpr int64_t MOST = 0x7fffffff;
    const pan_attention_desc *desc = &job.shape.desc;
    return launch(stream, op, statistics_count(desc), desc->head_dim,
                  {static_cast<unsigned>(items < MOST ? items : MOST), TILE_THREADS}, kernel, job);
}

// Offset of element (b, 0, h, 0) of an array that has all positions.
__device__ inline int64_t head_offset(const attention_shape &shape, const pan_head_layout &layout, int64_t head) {
    return head / shape.desc.heads * layout.batch_stride + head % shape.desc.heads * layout.head_stride;
}

__device__ inline matrix head_matrix(const attention_shape &shape, const float *x, const pan_head_layout &layout,
                                     int64_t head) {
    return make_matrix(x + head_offset(shape, layout, head), layout.length_stride, shape.desc.length,
                       shape.desc.head_dim);
}

// The first key that the query at a position sees.
__device__ inline int64_t first_visible(const attention_shape &shape, int64_t position) {
    const int64_t first = position - shape.window + 1;
    return first > 0 ? first : 0;
}

// State of the random bits of a query's weights; 0 without dropout.
__device__ inline uint64_t query_state(const attention_shape &shape, int64_t head, int64_t position) {
    return shape.random == nullptr ? 0
                                   : pan_random_row(shape.random, shape.desc.dropout_key,
                                                    static_cast<uint64_t>(head * shape.desc.length + position));
}

// keep / (1 - dropout)
__device__ inline float keep_factor(const attention_shape &shape, uint64_t state, int64_t key) {
    return pan_random_bits(state, static_cast<uint32_t>(key)) >= shape.threshold ? shape.keep_scale : 0.0f;
}

#endif
