/* How many positions of a prefix causal_top_k chooses at most, the same on every backend. */
#ifndef PAN_CORE_CAUSAL_TOP_K_H
#define PAN_CORE_CAUSAL_TOP_K_H

#include <stdint.h>

#include "shared_function.h"

/* The smallest root with root^2 >= n, for 1 <= n <= 2^40, whatever the rounding of sqrt. */
PAN_SHARED_FUNCTION int64_t pan_ceil_sqrt(int64_t n) {
    int64_t root = 1;
    for (int64_t bit = INT64_C(1) << 19; bit > 0; bit /= 2) {
        /* root - 1 is the largest number so far, of these bits, whose square is below n. */
        const int64_t larger = root - 1 + bit;
        root = larger * larger < n ? larger + 1 : root;
    }
    return root;
}

/* k(t) of position t; `k` is the descriptor's. */
PAN_SHARED_FUNCTION int64_t pan_top_k_of_prefix(int64_t k, int64_t t) {
    return k > 0 ? k : pan_ceil_sqrt(t + 1);
}

#endif
