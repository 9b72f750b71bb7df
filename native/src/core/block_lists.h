/* Where lists of blocks lie, for all backends. Plain C that is C++ too. */
#ifndef PAN_CORE_BLOCK_LISTS_H
#define PAN_CORE_BLOCK_LISTS_H

#include "panthera.h"
#include "shared_function.h"

/* Blocks of a sequence, the last of which may be shorter: an entry is below, or -1. */
PAN_SHARED_FUNCTION int64_t pan_block_count(const pan_block_lists *lists, int64_t length) {
    return (length - 1) / lists->block_size + 1;
}

/* Lists of a head. */
PAN_SHARED_FUNCTION int64_t pan_lists_of_head(const pan_block_lists *lists, int64_t length) {
    return (length - 1) / lists->queries + 1;
}

/* The first entry of the list of a query. */
PAN_SHARED_FUNCTION int64_t pan_block_list_at(const pan_block_lists *lists, int64_t length, int64_t b, int64_t kv_head,
                                              int64_t query) {
    const int64_t head = (lists->batches > 1 ? b : 0) * lists->heads + (lists->heads > 1 ? kv_head : 0);
    return (head * pan_lists_of_head(lists, length) + query / lists->queries) * lists->slots;
}

#endif
