/* Every file of this folder is compiled once per instruction-set tier, with PAN_TIER = baseline, avx2 or avx512 and the
 * compiler flags of that tier. One source serves all: vectors have the tier's width through GCC's vector extensions.
 *
 * PAN_BODY(x) names the tier's body of op x. Bodies trust their arguments: front_*.c has checked them. */
#ifndef PAN_CPU_TIER_H
#define PAN_CPU_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/backend.h"
#include "../core/gemm.h"
#include "../core/pool.h"
#include "../core/random.h"

#define PAN_CONCAT_(a, b, c) a##b##c
#define PAN_CONCAT(a, b, c) PAN_CONCAT_(a, b, c)
#define PAN_BODY(name) PAN_CONCAT(pan_, name, PAN_CONCAT(_, PAN_TIER, ))

/* Prototypes of this tier's bodies. */
#define PAN_OP(name) __typeof__(pan_##name) PAN_BODY(name);
#define PAN_SIZE(name) __typeof__(pan_##name) PAN_BODY(name);
#include "../core/ops.def"
#undef PAN_OP
#undef PAN_SIZE

static inline int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* Bytes rounded up to whole cache lines, for slices of a workspace. */
static inline int64_t align_up(int64_t bytes) {
    return (bytes + PAN_ALIGNMENT - 1) / PAN_ALIGNMENT * PAN_ALIGNMENT;
}

#endif
