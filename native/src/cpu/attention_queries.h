/* What a query of attention sees, and which queries there are: all positions of a sequence, or those that a list names.
 * Queries of a head are neighbouring rows of q and o, by ascending position. */
#ifndef PAN_CPU_ATTENTION_QUERIES_H
#define PAN_CPU_ATTENTION_QUERIES_H

#include "tile.h"

/* Queries of a tile. Key blocks are multiples of it, so that a tile's first key is never past its first query. */
enum { QUERY_BLOCK = 64 };

/* Positions that a query sees at most, its own included. */
static inline int64_t attention_window(const pan_attention_desc *desc) {
    return desc->window > 0 && desc->window < desc->length ? desc->window : desc->length;
}

/* The first key that the query at a position sees. */
static inline int64_t first_visible(const pan_attention_desc *desc, int64_t position) {
    const int64_t first = position - attention_window(desc) + 1;
    return first > 0 ? first : 0;
}

/* Element (b, 0, h, 0) of an array that has all positions. */
static inline int64_t head_offset(const pan_attention_desc *desc, const pan_head_layout *layout, int64_t head) {
    return head / desc->heads * layout->batch_stride + head % desc->heads * layout->head_stride;
}

/* Distance between rows of k and v. An only row may have any stride; a GEMM wants a valid one. */
static inline int64_t key_stride(const pan_attention_desc *desc, const pan_head_layout *layout) {
    return desc->length > 1 ? layout->length_stride : desc->head_dim;
}

/* Likewise of q and o. */
static inline int64_t query_stride(const pan_attention_desc *desc, const pan_head_layout *layout) {
    const int64_t rows = desc->queries > 0 ? desc->queries : desc->length;
    return rows > 1 ? layout->length_stride : desc->head_dim;
}

/* Elements of lse. */
static inline int64_t statistics_count(const pan_attention_desc *desc) {
    return desc->heads * (desc->queries > 0 ? desc->queries : desc->batch * desc->length);
}

/* The queries of a head. */
typedef struct head_queries {
    const int32_t *listed; /* the sequence's part of query_rows; NULL: query i is position i */
    int64_t origin;        /* the entry that would be position 0 */
    int64_t count;
    int64_t q;          /* where query 0 lies in q and dq, ... */
    int64_t o;          /* ... in o and do, ... */
    int64_t statistics; /* ... and in lse */
} head_queries;

/* How many entries of an ascending list are smaller than `bound`. */
static inline int64_t entries_below(const int32_t *list, int64_t count, int64_t bound) {
    int64_t begin = 0;
    for (int64_t end = count; begin < end;) {
        const int64_t middle = begin + (end - begin) / 2;
        if (list[middle] < bound) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

static inline head_queries queries_of(const pan_attention_desc *desc, const int32_t *query_rows, int64_t head) {
    if (query_rows == NULL) {
        return (head_queries){.count = desc->length,
                              .q = head_offset(desc, &desc->q, head),
                              .o = head_offset(desc, &desc->o, head),
                              .statistics = head * desc->length};
    }
    const int64_t origin = head / desc->heads * desc->length, h = head % desc->heads;
    const int64_t before = entries_below(query_rows, desc->queries, origin);
    const int32_t *listed = query_rows + before;
    return (head_queries){.listed = listed,
                          .origin = origin,
                          .count = entries_below(listed, desc->queries - before, origin + desc->length),
                          .q = before * desc->q.length_stride + h * desc->q.head_stride,
                          .o = before * desc->o.length_stride + h * desc->o.head_stride,
                          .statistics = h * desc->queries + before};
}

static inline int64_t query_position(const head_queries *queries, int64_t query) {
    return queries->listed == NULL ? query : queries->listed[query] - queries->origin;
}

/* How many queries lie before a position. */
static inline int64_t queries_before(const head_queries *queries, int64_t position) {
    return queries->listed == NULL ? min_i64(position, queries->count)
                                   : entries_below(queries->listed, queries->count, queries->origin + position);
}

/* The queries that see one of the keys; without a list whole blocks, so that products have few shapes. */
static inline tile_range queries_seeing(const pan_attention_desc *desc, const head_queries *queries, tile_range keys) {
    const int64_t begin = queries_before(queries, keys.begin);
    const int64_t end = queries_before(queries, keys.end - 1 + attention_window(desc));
    return (tile_range){
        begin, queries->listed != NULL ? end : min_i64(ceil_div(end, QUERY_BLOCK) * QUERY_BLOCK, queries->count)};
}

/* The most queries that a head has. */
static inline int64_t most_queries(const pan_attention_desc *desc, const int32_t *query_rows) {
    int64_t most = 0;
    for (int64_t b = 0; b < (query_rows == NULL ? 1 : desc->batch); b++) {
        const int64_t count = queries_of(desc, query_rows, b * desc->heads).count;
        most = count > most ? count : most;
    }
    return most;
}

/* Up to QUERY_BLOCK neighbouring queries of a head. */
typedef struct query_block {
    int64_t count;
    int64_t q, o, statistics; /* as above, of the first of them */
    int64_t position[QUERY_BLOCK];
} query_block;

static inline query_block query_block_of(const pan_attention_desc *desc, const head_queries *queries,
                                         tile_range range) {
    query_block block = {.count = range.end - range.begin,
                         .q = queries->q + range.begin * query_stride(desc, &desc->q),
                         .o = queries->o + range.begin * query_stride(desc, &desc->o),
                         .statistics = queries->statistics + range.begin};
    for (int64_t r = 0; r < block.count; r++) {
        block.position[r] = query_position(queries, range.begin + r);
    }
    return block;
}

#endif
