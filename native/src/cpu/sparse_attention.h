/* What sparse attention forward and backward share: where heads lie, which keys a query sees, how work is cut.
 *
 * The query heads that have keys in common go through them together. */
#ifndef PAN_CPU_SPARSE_ATTENTION_H
#define PAN_CPU_SPARSE_ATTENTION_H

#include "../core/sparse_attention.h"
#include "listed_rows.h"

typedef pan_sparse_attention_desc sparse_desc;

/* Work worth a task of its own; and what a query costs beside its products, in the same unit. */
enum { SPARSE_TASK_FLOPS = 2 << 20, SPARSE_QUERY_FLOPS = 1 << 11 };

/* Keys that are taken at a time, for all heads that have them in common: they stay in the first-level cache. */
enum { KEY_PART = 64 };

/* Keys that are read often are first copied, head by head: rows of a head lie side by side then, where with the strides of
 * several heads they would fall on few sets of the first-level cache. How often that is worth it: */
enum { READS_OF_COPY = 8 };

static inline pan_head_layout copied_layout(const sparse_desc *desc) {
    const int64_t head = (desc->first + desc->length) * desc->head_dim;
    return (pan_head_layout){desc->kv_heads * head, desc->head_dim, head};
}

static inline bool wants_copies(const sparse_desc *desc) {
    const double reads = (double) desc->length * (double) pan_most_seen_keys(desc);
    const bool apart = desc->k.length_stride != desc->head_dim || desc->v.length_stride != desc->head_dim;
    return apart && reads >= READS_OF_COPY * ((double) desc->first + (double) desc->length);
}

static inline int64_t copy_bytes(const sparse_desc *desc) {
    return wants_copies(desc) ? align_up(desc->batch * copied_layout(desc).batch_stride * (int64_t) sizeof(float)) : 0;
}

/* Copies all keys or values from one layout to another. */
void PAN_CONCAT(pan_copy_keys_, PAN_TIER, )(pan_pool *pool, const sparse_desc *desc, const float *from,
                                            const pan_head_layout *from_layout, float *to,
                                            const pan_head_layout *to_layout);
#define copy_keys PAN_CONCAT(pan_copy_keys_, PAN_TIER, )

/* A head of keys and its query heads. */
typedef struct sparse_head {
    int64_t b;
    int64_t kv_head;
    int64_t k, v;       /* where position 0 lies in k and dk, in v and dv */
    int64_t q, o;       /* of the first query head, in q and dq, in o and do */
    int64_t statistics; /* likewise in lse */
} sparse_head;

static inline int64_t group_heads(const sparse_desc *desc) {
    return desc->heads / desc->kv_heads;
}

static inline sparse_head sparse_head_of(const sparse_desc *desc, int64_t index) {
    const int64_t b = index / desc->kv_heads, kv_head = index % desc->kv_heads;
    const int64_t h = kv_head * group_heads(desc);
    return (sparse_head){.b = b,
                         .kv_head = kv_head,
                         .k = b * desc->k.batch_stride + kv_head * desc->k.head_stride,
                         .v = b * desc->v.batch_stride + kv_head * desc->v.head_stride,
                         .q = b * desc->q.batch_stride + h * desc->q.head_stride,
                         .o = b * desc->o.batch_stride + h * desc->o.head_stride,
                         .statistics = (b * desc->heads + h) * desc->length};
}

/* Where query i of query head g of the group lies. */
static inline int64_t query_at(const sparse_head *head, const sparse_desc *desc, int64_t g, int64_t i) {
    return head->q + g * desc->q.head_stride + i * desc->q.length_stride;
}

static inline int64_t output_at(const sparse_head *head, const sparse_desc *desc, int64_t g, int64_t i) {
    return head->o + g * desc->o.head_stride + i * desc->o.length_stride;
}

static inline int64_t statistic_at(const sparse_head *head, const sparse_desc *desc, int64_t g, int64_t i) {
    return head->statistics + g * desc->length + i;
}

/* Queries between the one in work and the one whose row is fetched: rows lie as far apart as positions of all heads, which
 * the processor does not foresee. */
enum { FETCH_AHEAD = 2 };

static inline void fetch_row(const float *row, int64_t columns) {
    enum { LINE = 64 / sizeof(float) };
    for (int64_t c = 0; c < columns; c += LINE) {
        __builtin_prefetch(row + c);
    }
}

/* Queries of a task, for so many products of a query with a key. */
static inline int64_t sparse_task_queries(const sparse_desc *desc, int64_t products) {
    const double keys = (double) pan_most_seen_keys(desc) * (double) group_heads(desc);
    const double flops = 2.0 * (double) products * keys * (double) desc->head_dim + SPARSE_QUERY_FLOPS;
    const int64_t queries = (int64_t) (SPARSE_TASK_FLOPS / flops);
    return queries < 1 ? 1 : min_i64(queries, desc->length);
}

/* Entries of a list of the keys that a query sees, whole vectors of them. */
static inline int64_t seen_storage(const sparse_desc *desc) {
    return score_storage(pan_most_seen_keys(desc)) + LANES;
}

static inline int64_t seen_bytes(const sparse_desc *desc) {
    return align_up(seen_storage(desc) * (int64_t) sizeof(int32_t));
}

/* Appends the part of [begin, end) that is in `within` as far as there is room: a list that names a block twice has no
 * meaning, but must do no harm. */
static inline int64_t append_keys(tile_range keys, tile_range within, int64_t most, int32_t *list, int64_t count) {
    keys = tile_overlap(keys, within);
    for (int64_t s = keys.begin; s < keys.end && count < most; s++) {
        list[count++] = (int32_t) s;
    }
    return count;
}

/* Lists the keys that query i sees among those of `within`; returns how many. */
static inline int64_t list_seen(const sparse_desc *desc, const sparse_head *head, const int32_t *blocks, int64_t i,
                                tile_range within, int32_t *list) {
    const int64_t t = desc->first + i;
    const pan_seen_keys seen = pan_seen_keys_of(desc, t);
    const int64_t most = pan_most_seen_keys(desc);
    int64_t count = append_keys((tile_range){0, seen.first}, within, most, list, 0);
    if (desc->lists.slots > 0) {
        const int32_t *entries = blocks + pan_block_list_at(&desc->lists, desc->length, head->b, head->kv_head, i);
        for (int64_t slot = 0; slot < desc->lists.slots; slot++) {
            const pan_key_range keys = pan_listed_keys(desc, &seen, entries[slot]);
            count = append_keys((tile_range){keys.begin, keys.end}, within, most, list, count);
        }
    }
    count = append_keys((tile_range){seen.last, t + 1}, within, most, list, count);
    for (int64_t n = count; n > 0 && n < score_storage(count); n++) {
        list[n] = list[count - 1];
    }
    return count;
}

#endif
