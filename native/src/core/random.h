/* Random bits of dropout: a pure function of (seed, step, key, row, column), the same on every backend.
 *
 * A row's 64-bit state comes from mixing (seed, step, key, row) with the splitmix64 finaliser (Steele et al. 2014), which
 * is scalar work once a row. An element's 32 bits then come from two multiply-xorshift rounds over (column, state) in
 * 32-bit arithmetic, which vectorises on every tier. An element is kept iff its bits are at or above the threshold. */
#ifndef PAN_CORE_RANDOM_H
#define PAN_CORE_RANDOM_H

#include <stdint.h>

#include "panthera.h"
#include "shared_function.h"

PAN_SHARED_FUNCTION uint64_t pan_mix64(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* State of a row. */
PAN_SHARED_FUNCTION uint64_t pan_random_row(const pan_random_state *random, uint64_t key, uint64_t row) {
    return pan_mix64(pan_mix64(pan_mix64(pan_mix64(random->seed) ^ random->step) ^ key) ^ row);
}

/* Bits of a column in a row of the given state. */
PAN_SHARED_FUNCTION uint32_t pan_random_bits(uint64_t row_state, uint32_t column) {
    uint32_t x = column * UINT32_C(0x9e3779b9) + (uint32_t) row_state;
    x = (x ^ (x >> 16)) * UINT32_C(0x7feb352d);
    x = (x ^ (x >> 15)) + (uint32_t) (row_state >> 32);
    x = (x ^ (x >> 15)) * UINT32_C(0x846ca68b);
    return x ^ (x >> 16);
}

/* Bits of an example's drop path: those of a row `example` and column 0 under the complemented key, so that they meet
 * no element's bits under the key itself. */
PAN_SHARED_FUNCTION uint32_t pan_random_path_bits(const pan_random_state *random, uint64_t key, uint64_t example) {
    return pan_random_bits(pan_random_row(random, ~key, example), 0);
}

/* Bits below this are dropped: round(probability * 2^32). */
PAN_SHARED_FUNCTION uint32_t pan_random_threshold(float probability) {
    return (uint32_t) ((double) probability * 4294967296.0 + 0.5);
}

#endif
