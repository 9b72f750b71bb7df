/* Which pooled blocks a query may see, for all backends. Plain C that is C++ too. */
#ifndef PAN_CORE_POOLED_BLOCKS_H
#define PAN_CORE_POOLED_BLOCKS_H

#include "block_lists.h"

/* The dummy score whose weight stands beside the blocks' in pan_block_top_k(). */
#define PAN_DUMMY_SCORE (-1000.0f)

/* Of `blocks`, how many have ended where a position begins. */
PAN_SHARED_FUNCTION int64_t pan_ended_blocks(int64_t blocks, int64_t block_size, int64_t position) {
    const int64_t ended = position / block_size;
    return ended < blocks ? ended : blocks;
}

/* Keys of a head. */
PAN_SHARED_FUNCTION int64_t pan_pooled_keys(const pan_pooled_attention_desc *desc) {
    return desc->always + desc->blocks;
}

/* How many keys a query would see without excluded blocks: they are the first ones. */
PAN_SHARED_FUNCTION int64_t pan_pooled_visible(const pan_pooled_attention_desc *desc, int64_t query) {
    return desc->always + pan_ended_blocks(desc->blocks, desc->block_size, desc->first + query);
}

#endif
