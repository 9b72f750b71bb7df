/* Checks of lists of blocks. */
#ifndef PAN_CORE_FRONT_BLOCK_LISTS_H
#define PAN_CORE_FRONT_BLOCK_LISTS_H

#include "block_lists.h"
#include "front.h"

/* What a call's lists are of. */
typedef struct list_sizes {
    int64_t batch;
    int64_t kv_heads;
    int64_t length; /* of queries */
    int64_t first;  /* position of the first query */
} list_sizes;

/* Entries of all lists; -1 on overflow. */
static inline int64_t pan_list_entries(const pan_block_lists *lists, list_sizes sizes) {
    if (lists->slots == 0) {
        return 0;
    }
    const int64_t heads = pan_product(lists->batches, lists->heads, lists->slots);
    return heads < 0 ? -1 : pan_product(heads, pan_lists_of_head(lists, sizes.length), 1);
}

/* 1, or as many as the call has. */
static inline pan_status pan_check_shared(const char *op, const char *name, const char *field, int64_t value,
                                          int64_t all) {
    if (value != 1 && value != all) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s.%s is %lld; expected 1 or %lld", op, name, field,
                        (long long) value, (long long) all);
    }
    return PAN_OK;
}

/* The descriptor's lists, whose name there is given; after its sizes. */
static inline pan_status pan_check_block_lists(const char *op, const char *name, const pan_block_lists *lists,
                                               list_sizes sizes) {
    if (lists->slots == 0) {
        if (lists->block_size != 0 || lists->queries != 0 || lists->batches != 0 || lists->heads != 0) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s has no slots; expected 0 in its other fields", op, name);
        }
        return PAN_OK;
    }
    PAN_TRY(pan_check_size(op, "slots", lists->slots));
    PAN_TRY(pan_check_size(op, "block_size", lists->block_size));
    PAN_TRY(pan_check_size(op, "queries", lists->queries));
    PAN_TRY(pan_check_shared(op, name, "batches", lists->batches, sizes.batch));
    PAN_TRY(pan_check_shared(op, name, "heads", lists->heads, sizes.kv_heads));
    return pan_check_extent(op, name, pan_list_entries(lists, sizes), 1);
}

/* The lists themselves, before any work. Those of a CUDA device cannot be read here. */
static inline pan_status pan_check_listed(const char *op, const char *name, const pan_stream *stream,
                                          const pan_block_lists *lists, list_sizes sizes, const int32_t *listed) {
    if ((listed != NULL) != (lists->slots != 0)) {
        return pan_fail(PAN_INVALID_ARGUMENT, "%s: %s is %s but its lists have %lld slots", op, name,
                        listed == NULL ? "NULL" : "given", (long long) lists->slots);
    }
    if (listed == NULL || stream->device->info.backend == PAN_BACKEND_CUDA) {
        return PAN_OK;
    }
    const int64_t blocks = pan_block_count(lists, sizes.first + sizes.length), entries = pan_list_entries(lists, sizes);
    for (int64_t i = 0; i < entries; i++) {
        if (listed[i] < -1 || listed[i] >= blocks) {
            return pan_fail(PAN_INVALID_ARGUMENT, "%s: entry %lld of %s is %d; expected -1 to %lld", op, (long long) i,
                            name, listed[i], (long long) blocks - 1);
        }
    }
    return PAN_OK;
}

#endif
