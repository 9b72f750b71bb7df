/* A vector of floats as two vectors of doubles, for long sums and for argument reductions. */
#ifndef PAN_CPU_VECTOR_DOUBLE_H
#define PAN_CPU_VECTOR_DOUBLE_H

#include "vector.h"

typedef double vd_half __attribute__((vector_size(PAN_VECTOR_BYTES)));
typedef int64_t vl_half __attribute__((vector_size(PAN_VECTOR_BYTES)));
typedef float vf_half __attribute__((vector_size(PAN_VECTOR_BYTES / 2)));

/* LANES doubles: of the lower and of the upper lanes of a vf. */
typedef struct vd {
    vd_half low;
    vd_half high;
} vd;

#if PAN_VECTOR_BYTES == 64
#define PAN_LOW_LANES 0, 1, 2, 3, 4, 5, 6, 7
#define PAN_HIGH_LANES 8, 9, 10, 11, 12, 13, 14, 15
#elif PAN_VECTOR_BYTES == 32
#define PAN_LOW_LANES 0, 1, 2, 3
#define PAN_HIGH_LANES 4, 5, 6, 7
#else
#define PAN_LOW_LANES 0, 1
#define PAN_HIGH_LANES 2, 3
#endif

/* The instruction by name where there is one: GCC 12 builds __builtin_convertvector from narrower pieces. */
#if defined(__AVX512F__)
static inline vd_half widen(vf_half x) {
    enum { CURRENT_ROUNDING = 4 };
    return __builtin_ia32_cvtps2pd512_mask(x, (vd_half){}, -1, CURRENT_ROUNDING);
}
#elif defined(__AVX2__)
static inline vd_half widen(vf_half x) {
    return __builtin_ia32_cvtps2pd256(x);
}
#endif

static inline vd vd_from_vf(vf x) {
#if defined(__AVX2__)
    return (vd){widen(__builtin_shufflevector(x, x, PAN_LOW_LANES)),
                widen(__builtin_shufflevector(x, x, PAN_HIGH_LANES))};
#elif defined(__SSE2__)
    return (vd){__builtin_ia32_cvtps2pd(x),
                __builtin_ia32_cvtps2pd(__builtin_shufflevector(x, x, PAN_HIGH_LANES, PAN_HIGH_LANES))};
#else
    return (vd){__builtin_convertvector(__builtin_shufflevector(x, x, PAN_LOW_LANES), vd_half),
                __builtin_convertvector(__builtin_shufflevector(x, x, PAN_HIGH_LANES), vd_half)};
#endif
}

static inline vf vf_from_vd(vd x) {
    return __builtin_shufflevector(__builtin_convertvector(x.low, vf_half), __builtin_convertvector(x.high, vf_half),
                                   PAN_LOW_LANES, PAN_HIGH_LANES);
}

static inline vd vd_splat(double x) {
    return (vd){x - (vd_half){}, x - (vd_half){}};
}

static inline vd vd_add(vd a, vd b) {
    return (vd){a.low + b.low, a.high + b.high};
}

/* a * b + c */
static inline vd vd_multiply_add(vd a, vd b, vd c) {
    return (vd){a.low * b.low + c.low, a.high * b.high + c.high};
}

/* The larger of each pair of lanes; NaN where either is. */
static inline vd_half larger_half(vd_half a, vd_half b) {
    const vl_half of_a = (a > b) | (a != a);
    return (vd_half) ((of_a & (vl_half) a) | (~of_a & (vl_half) b));
}

static inline vd vd_larger(vd a, vd b) {
    return (vd){larger_half(a.low, b.low), larger_half(a.high, b.high)};
}

/* Sum of the lanes, pairwise. */
static inline double vd_sum(vd x) {
    double lane[LANES / 2];
    const vd_half both = x.low + x.high;
    memcpy(lane, &both, sizeof both);
    for (int width = LANES / 4; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) {
            lane[i] += lane[i + width];
        }
    }
    return lane[0];
}

#endif
