/* What attention to pooled blocks shares, forward and backward: how heads are cut into tiles, who sees whom in a tile,
 * and products that heed it. */
#ifndef PAN_CPU_POOLED_ATTENTION_H
#define PAN_CPU_POOLED_ATTENTION_H

#include "../core/pooled_blocks.h"
#include "score_row.h"
#include "tile.h"

/* Queries and keys of a tile. Keys are few: mostly a tile has all of a query's. */
enum { POOLED_QUERIES = 64, POOLED_KEYS = 256 };
/* Work worth a task of its own; and what a tile costs beside its products, in the same unit. */
enum { POOLED_TASK_FLOPS = 2 << 20, POOLED_TILE_FLOPS = 1 << 16 };

/* The most keys that a tile has. */
static inline int64_t pooled_tile_keys(const pan_pooled_attention_desc *desc) {
    return min_i64(pan_pooled_keys(desc), POOLED_KEYS);
}

static inline int64_t pooled_query_tiles(const pan_pooled_attention_desc *desc) {
    return ceil_div(desc->length, POOLED_QUERIES);
}

/* Queries x keys of scratch memory. */
static inline int64_t pooled_tile_bytes(const pan_pooled_attention_desc *desc) {
    return align_up(POOLED_QUERIES * score_storage(pooled_tile_keys(desc)) * (int64_t) sizeof(float));
}

/* Operations of a tile of queries in `products` matrix products over all keys that it sees, on average. */
static inline double pooled_tile_flops(const pan_pooled_attention_desc *desc, int64_t products) {
    const double keys = (double) desc->always + 0.5 * (double) desc->blocks;
    return 2.0 * (double) products * POOLED_QUERIES * keys * (double) desc->head_dim;
}

/* Distance between rows. An only row may have any stride; a GEMM wants a valid one. */
static inline int64_t row_stride(const pan_head_layout *layout, int64_t rows, int64_t head_dim) {
    return rows > 1 ? layout->length_stride : head_dim;
}

/* Element (b, 0, h, 0). */
static inline int64_t layout_offset(const pan_head_layout *layout, int64_t b, int64_t h) {
    return b * layout->batch_stride + h * layout->head_stride;
}

/* A tile: neighbouring queries of a head, and neighbouring keys of its key head. */
typedef struct pooled_tile {
    const pan_pooled_attention_desc *desc;
    const int32_t *excluded;
    int64_t b;
    int64_t head; /* of queries */
    int64_t kv_head;
    tile_range queries;
    tile_range keys;
    int64_t storage; /* of a row of scores */
} pooled_tile;

static inline pooled_tile pooled_tile_of(const pan_pooled_attention_desc *desc, const int32_t *excluded, int64_t b,
                                         int64_t head, int64_t query_tile) {
    return (pooled_tile){.desc = desc,
                         .excluded = excluded,
                         .b = b,
                         .head = head,
                         .kv_head = head / (desc->heads / desc->kv_heads),
                         .queries = tile_at(query_tile, POOLED_QUERIES, desc->length)};
}

/* The end of the keys that a query of the tile may see. */
static inline int64_t pooled_key_end(const pooled_tile *tile) {
    return pan_pooled_visible(tile->desc, tile->queries.end - 1);
}

/* The same queries with the keys from `first` on, up to those that one of them may see. */
static inline pooled_tile with_keys(pooled_tile tile, int64_t first) {
    tile.keys = (tile_range){first, min_i64(first + POOLED_KEYS, pooled_key_end(&tile))};
    tile.storage = score_storage(tile.keys.end - tile.keys.begin);
    return tile;
}

/* How many of the tile's keys, which are its first ones, query t may see. */
static inline int64_t pooled_visible_keys(const pooled_tile *tile, int64_t t) {
    const int64_t visible = pan_pooled_visible(tile->desc, t) - tile->keys.begin;
    return visible < 0 ? 0 : min_i64(visible, tile->keys.end - tile->keys.begin);
}

/* To the scores of the blocks in a row of `visible` keys of the tile. */
static inline void add_bias(const pooled_tile *tile, float *row, int64_t visible) {
    const int64_t first = tile->desc->always - tile->keys.begin;
    for (int64_t i = first > 0 ? first : 0; i < visible; i++) {
        row[i] += tile->desc->bias;
    }
}

static inline const int32_t *pooled_list(const pooled_tile *tile, int64_t t) {
    return tile->excluded + pan_block_list_at(&tile->desc->excluded, tile->desc->length, tile->b, tile->kv_head, t);
}

/* Gives the elements of excluded blocks in a row of `visible` keys of the tile. */
static inline void set_excluded(const pooled_tile *tile, int64_t t, float *row, int64_t visible, float value) {
    const int64_t slots = tile->desc->excluded.slots;
    const int32_t *list = slots > 0 ? pooled_list(tile, t) : NULL;
    for (int64_t i = 0; i < slots; i++) {
        const int64_t key = tile->desc->always + list[i] - tile->keys.begin;
        if (list[i] >= 0 && key >= 0 && key < visible) {
            row[key] = value;
        }
    }
}

/* How many keys query t sees, of all. */
static inline int64_t pooled_seen(const pooled_tile *tile, int64_t t) {
    const int64_t visible = pan_pooled_visible(tile->desc, t), slots = tile->desc->excluded.slots;
    const int32_t *list = slots > 0 ? pooled_list(tile, t) : NULL;
    int64_t seen = visible;
    for (int64_t i = 0; i < slots; i++) {
        seen -= list[i] >= 0 && tile->desc->always + list[i] < visible;
    }
    return seen;
}

/* A product over a tile: c (m, n) = alpha w x + beta c, where w (queries, keys) is 0 where the query does not see the key;
 * transposed, c has a row for each key and x one for each query. */
typedef struct pooled_product {
    const pooled_tile *tile;
    bool transposed;
    float alpha;
    float beta;
    const float *w; /* rows of the tile's storage */
    const float *x;
    int64_t x_stride;
    float *c;
    int64_t c_stride;
} pooled_product;

/* A row of x that is NaN or infinite reaches the rows of c that see it, and these alone: the bits of the others are those
 * that they would have without it. `copy` has room for (x's rows, n). */
void PAN_CONCAT(pan_pooled_multiply_, PAN_TIER, )(const pooled_product *product, float *copy);
#define pooled_multiply PAN_CONCAT(pan_pooled_multiply_, PAN_TIER, )

/* What that is at most. */
static inline int64_t pooled_copy_bytes(const pan_pooled_attention_desc *desc) {
    const int64_t keys = pooled_tile_keys(desc);
    return align_up((keys > POOLED_QUERIES ? keys : POOLED_QUERIES) * desc->head_dim * (int64_t) sizeof(float));
}

#endif
