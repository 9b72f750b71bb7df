/* Which keys a query of sparse attention sees, for all fast bodies. Plain C that is C++ too. */
#ifndef PAN_CORE_SPARSE_ATTENTION_H
#define PAN_CORE_SPARSE_ATTENTION_H

#include "block_lists.h"

/* The query at t sees positions [0, first), [last, t + 1), and what its listed blocks have between them: since the former
 * lie at the two ends of [0, t + 1), each listed block adds one range, and no position comes twice. */
typedef struct pan_seen_keys {
    int64_t first;
    int64_t last;  /* >= first */
    int64_t block; /* the query's own, the last one that has something to add; -1 without lists */
} pan_seen_keys;

typedef struct pan_key_range {
    int64_t begin;
    int64_t end; /* may be in front of `begin`: no keys */
} pan_key_range;

PAN_SHARED_FUNCTION pan_seen_keys pan_seen_keys_of(const pan_sparse_attention_desc *desc, int64_t t) {
    const int64_t first = desc->globals < t + 1 ? desc->globals : t + 1;
    const int64_t last = desc->window < t + 1 ? t + 1 - desc->window : 0;
    const int64_t block = desc->lists.slots > 0 ? t / desc->lists.block_size : -1;
    pan_seen_keys seen;
    seen.first = first;
    seen.last = last > first ? last : first;
    seen.block = block;
    return seen;
}

/* What an entry of the query's list adds. */
PAN_SHARED_FUNCTION pan_key_range pan_listed_keys(const pan_sparse_attention_desc *desc, const pan_seen_keys *seen,
                                                  int32_t entry) {
    pan_key_range range;
    range.begin = range.end = 0;
    if (entry >= 0 && entry <= seen->block) {
        const int64_t begin = entry * desc->lists.block_size, end = begin + desc->lists.block_size;
        range.begin = begin > seen->first ? begin : seen->first;
        range.end = end < seen->last ? end : seen->last;
    }
    return range;
}

/* The most keys that a query sees. */
PAN_SHARED_FUNCTION int64_t pan_most_seen_keys(const pan_sparse_attention_desc *desc) {
    const double listed = (double) desc->lists.slots * (double) desc->lists.block_size;
    const double keys = (double) desc->window + (double) desc->globals + listed;
    const int64_t positions = desc->first + desc->length;
    return keys < (double) positions ? (int64_t) keys : positions;
}

#endif
