/* Rows of scores in scratch memory, for the softmax of attention and of the vocabulary loss. A row's storage is a whole
 * number of vectors; what lies between its count and the end of the last vector is never used, whatever it holds. */
#ifndef PAN_CPU_SCORE_ROW_H
#define PAN_CPU_SCORE_ROW_H

#include <float.h>

#include "tier.h"
#include "vector_math.h"
#include "vector_random.h"

/* Elements of storage for a row of `count`. */
static inline int64_t score_storage(int64_t count) {
    return (count + LANES - 1) / LANES * LANES;
}

/* Lanes that lie before `count`, for the vector that starts at `column`. */
static inline vi score_lanes(int64_t column, int64_t count) {
    return vi_lane_numbers() < (int32_t) min_i64(count - column, LANES);
}

/* The largest element, or `least` where none is larger; NaN is passed over. */
static inline float score_max(const float *row, int64_t count, float least) {
    vf largest = vf_splat(least);
    vf other = largest; /* two chains of comparisons hide their latency */
    int64_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        largest = vf_max(vf_load(row + i), largest);
        other = vf_max(vf_load(row + i + LANES), other);
    }
    for (; i < count; i += LANES) {
        largest = vf_max(vf_select(score_lanes(i, count), vf_load(row + i), largest), largest);
    }
    return vf_largest(vf_max(other, largest));
}

/* What to subtract from scores whose maximum is given, before exp. Being finite it lets exp(-Inf) be 0 and exp(Inf) be
 * Inf, where -Inf - -Inf or Inf - Inf would be NaN. */
static inline float score_shift(float max) {
    return max > FLT_MAX ? FLT_MAX : max < -FLT_MAX ? -FLT_MAX : max;
}

/* Replaces x by exp(x - shift) and returns the sum. Elements of the last vector past the count become 0. */
static inline float score_exp(float *row, int64_t count, float shift) {
    vf sum = vf_splat(0.0f);
    for (int64_t i = 0; i < count; i += LANES) {
        vf e = vf_exp(vf_load(row + i) - shift);
        if (i + LANES > count) {
            e = vf_select(score_lanes(i, count), e, vf_splat(0.0f));
        }
        vf_store(row + i, e);
        sum += e;
    }
    return vf_sum(sum);
}

/* The sum that score_exp() returns, of scores that stay as they are. */
static inline float score_exp_sum(const float *row, int64_t count, float shift) {
    vf sum = vf_splat(0.0f);
    vf other = sum;
    int64_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        sum += vf_exp(vf_load(row + i) - shift);
        other += vf_exp(vf_load(row + i + LANES) - shift);
    }
    for (; i < count; i += LANES) {
        const vf e = vf_exp(vf_load(row + i) - shift);
        sum += vf_select(score_lanes(i, count), e, vf_splat(0.0f));
    }
    return vf_sum(sum + other);
}

#endif
