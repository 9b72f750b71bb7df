/* Vectors of floats of the tier's width, and the elementary functions on them.
 *
 * LANES floats are processed at once; ragged tails are read and written through partial loads and stores that touch no
 * element past the end, so every function has one code path and an element's result does not depend on where in a row
 * it lies. */
#ifndef PAN_CPU_VECTOR_H
#define PAN_CPU_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define PAN_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define PAN_VECTOR_BYTES 32
#else
#define PAN_VECTOR_BYTES 16
#endif

typedef float vf __attribute__((vector_size(PAN_VECTOR_BYTES)));
typedef int32_t vi __attribute__((vector_size(PAN_VECTOR_BYTES)));
typedef uint32_t vu __attribute__((vector_size(PAN_VECTOR_BYTES)));

enum { LANES = PAN_VECTOR_BYTES / 4 };

static inline vf vf_splat(float x) {
    return x - (vf){}; /* and not 0 + x, which would turn -0 into 0 */
}

static inline vf vf_load(const float *p) {
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void vf_store(float *p, vf x) {
    memcpy(p, &x, sizeof x);
}

/* The first `count` < LANES elements; the other lanes hold `fill`. */
static inline vf vf_load_part(const float *p, int64_t count, float fill) {
    vf x = vf_splat(fill);
    memcpy(&x, p, (size_t) count * sizeof *p);
    return x;
}

static inline void vf_store_part(float *p, vf x, int64_t count) {
    memcpy(p, &x, (size_t) count * sizeof *p);
}

/* The first LANES or `count` elements, whichever is less, and 0 in the other lanes: for loops whose last turn may be
 * ragged. */
static inline vf vf_load_first(const float *p, int64_t count) {
    return __builtin_expect(count >= LANES, 1) ? vf_load(p) : vf_load_part(p, count, 0.0f);
}

static inline void vf_store_first(float *p, vf x, int64_t count) {
    if (__builtin_expect(count >= LANES, 1)) {
        vf_store(p, x);
    } else {
        vf_store_part(p, x, count);
    }
}

/* 0, 1, 2, ... */
static inline vi vi_lane_numbers(void) {
    static const int32_t NUMBERS[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vi lanes;
    memcpy(&lanes, NUMBERS, sizeof lanes);
    return lanes;
}

/* x with 0 in the lanes from `count` on, if there are any. */
static inline vf vf_keep_first(vf x, int64_t count) {
    if (__builtin_expect(count >= LANES, 1)) {
        return x;
    }
    return (vf) ((vi) x & (vi_lane_numbers() < (int32_t) count));
}

/* mask ? a : b, lane by lane; a comparison of vectors gives such a mask. */
static inline vf vf_select(vi mask, vf a, vf b) {
    return (vf) ((mask & (vi) a) | (~mask & (vi) b));
}

/* The larger of each pair of lanes; b where either is NaN. */
static inline vf vf_max(vf a, vf b) {
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#elif defined(__SSE2__)
    return _mm_max_ps(a, b);
#else
    return vf_select(a > b, a, b);
#endif
}

/* The smaller of each pair of lanes; b where either is NaN. */
static inline vf vf_min(vf a, vf b) {
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#elif defined(__SSE2__)
    return _mm_min_ps(a, b);
#else
    return vf_select(a < b, a, b);
#endif
}

/* Lane i is lane i ^ distance of x. */
static inline vf vf_swap_lanes(vf x, int32_t distance) {
    return __builtin_shuffle(x, vi_lane_numbers() ^ distance);
}

/* Sum of the lanes, pairwise. */
static inline float vf_sum(vf x) {
    for (int32_t distance = LANES / 2; distance > 0; distance /= 2) {
        x += vf_swap_lanes(x, distance);
    }
    return x[0];
}

/* The largest lane; NaN if any is. */
static inline float vf_largest(vf x) {
    for (int32_t distance = LANES / 2; distance > 0; distance /= 2) {
        const vf y = vf_swap_lanes(x, distance);
        x = vf_select((y > x) | (y != y), y, x);
    }
    return x[0];
}

#endif
