/* The random bits of core/random.h for LANES columns at once. */
#ifndef PAN_CPU_VECTOR_RANDOM_H
#define PAN_CPU_VECTOR_RANDOM_H

#include "../core/random.h"
#include "vector.h"

/* pan_random_bits() for LANES columns, of which `column` is the first. */
static inline vu vu_random_bits(uint64_t row_state, uint32_t column) {
    vu x = ((vu) vi_lane_numbers() + column) * UINT32_C(0x9e3779b9) + (uint32_t) row_state;
    x = (x ^ (x >> 16)) * UINT32_C(0x7feb352d);
    x = (x ^ (x >> 15)) + (uint32_t) (row_state >> 32);
    x = (x ^ (x >> 15)) * UINT32_C(0x846ca68b);
    return x ^ (x >> 16);
}

/* Dropout's factors of LANES columns: scale or 0. */
static inline vf vf_keep_factor(uint64_t row_state, int64_t column, uint32_t threshold, float scale) {
    const vi keep = vu_random_bits(row_state, (uint32_t) column) >= threshold;
    return (vf) (keep & (vi) vf_splat(scale));
}

#endif
