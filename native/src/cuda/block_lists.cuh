// Lists of blocks, of which only the device knows the numbers.
#ifndef PAN_CUDA_BLOCK_LISTS_CUH
#define PAN_CUDA_BLOCK_LISTS_CUH

#include "../core/block_lists.h"
#include "block.cuh"

struct report_bad_entry {
    int64_t blocks;
    const int32_t *listed;
    cuda_report *report;

    __device__ void operator()(int64_t i) const {
        if (listed[i] < -1 || listed[i] >= blocks) {
            *report = make_report(REPORT_BLOCK, i);
        }
    }
};

// Reports entries that are neither -1 nor a block of the sequence; other kernels take them for -1. Nothing without
// slots. `first` is the position of the first of `length` queries.
inline pan_status report_bad_blocks(const pan_stream *stream, const char *op, const pan_block_lists &lists,
                                    int64_t length, const int32_t *listed, int64_t first = 0) {
    if (lists.slots == 0) {
        return PAN_OK;
    }
    const int64_t all_lists = lists.batches * lists.heads * pan_lists_of_head(&lists, length);
    return for_each(
        stream, op, all_lists, lists.slots,
        report_bad_entry{pan_block_count(&lists, first + length), listed, state_of(stream)->device->report});
}

#endif
