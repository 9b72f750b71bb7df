/* The RWKV-4 recurrence: what its forward and backward passes share.
 *
 * Sums of weighted values are kept relative to an exponent, so that none overflows. It is that of one position, as its key
 * and the number of decays since: what rounding makes of a single decay would add up. For the same reason another position
 * takes its place only where it exceeds it by far. */
#ifndef PAN_CPU_WKV_H
#define PAN_CPU_WKV_H

#include "tile.h"
#include "vector_math.h"

/* base - decays * rate */
typedef struct wkv_exponent {
    vf base;
    vf decays;
} wkv_exponent;

/* Below that of any key; finite, so that -infinity can be subtracted from it. */
#define WKV_LEAST_EXPONENT -1e38f

/* The rate exp(decay), no more than a bound that keeps its products finite and beyond which all weights vanish anyway. */
static inline vf wkv_rate(vf decay) {
    const vf bounded = vf_max(vf_splat(-104.0f), vf_min(vf_splat(69.0f), decay));
    return vf_exp_double(vd_from_vf(bounded));
}

/* By how much weights may exceed that of the exponent which they are relative to. */
#define WKV_MARGIN 16.0f

/* Two weights, relative to the first exponent or, where that is larger by more than the margin, to the second. */
typedef struct wkv_weights {
    vi by_second;
    vf first;
    vf second;
} wkv_weights;

static inline wkv_weights wkv_weigh(vf second_minus_first) {
    const vi by_second = second_minus_first > WKV_MARGIN;
    const vf other = vf_exp(vf_select(by_second, -second_minus_first, second_minus_first));
    return (wkv_weights){by_second, vf_select(by_second, other, vf_splat(1.0f)),
                         vf_select(by_second, vf_splat(1.0f), other)};
}

/* a / b, and 0 where b is: no position has weight. */
static inline vf wkv_quotient(vf a, vf b) {
    return vf_select(b == 0.0f, vf_splat(0.0f), a / b);
}

/* Neighbouring channels of an example, which are walked over together: rows of memory are read as they lie, and the
 * chains of dependent operations overlap. Enough groups for a few workers, if there are as many channels. */
enum { MOST_GROUP_CHANNELS = 64, LEAST_GROUP_CHANNELS = 16, ENOUGH_GROUPS = 8 };
enum { MOST_GROUP_VECTORS = MOST_GROUP_CHANNELS / LANES };

typedef struct wkv_groups {
    int64_t channels; /* of a group; the last one of an example may have fewer */
    int64_t per_example;
    int64_t count;
} wkv_groups;

static inline wkv_groups wkv_groups_of(const pan_wkv_desc *desc) {
    wkv_groups groups = {.channels = MOST_GROUP_CHANNELS};
    while (groups.channels > LEAST_GROUP_CHANNELS &&
           desc->batch * ceil_div(desc->channels, groups.channels) < ENOUGH_GROUPS) {
        groups.channels /= 2;
    }
    groups.per_example = ceil_div(desc->channels, groups.channels);
    groups.count = desc->batch * groups.per_example;
    return groups;
}

/* One of them. */
typedef struct wkv_group {
    int64_t example;
    int64_t channel; /* the first */
    int64_t vectors;
    int64_t begin; /* of its first position in the arrays */
    int64_t lanes[MOST_GROUP_VECTORS];
    vf rate[MOST_GROUP_VECTORS];
    vf bonus[MOST_GROUP_VECTORS];
} wkv_group;

static inline void wkv_enter_group(const pan_wkv_desc *desc, const wkv_groups *groups, int64_t index,
                                   const float *decay, const float *first, wkv_group *group) {
    group->example = index / groups->per_example;
    group->channel = index % groups->per_example * groups->channels;
    group->begin = group->example * desc->length * desc->channels + group->channel;
    const int64_t channels = min_i64(groups->channels, desc->channels - group->channel);
    group->vectors = ceil_div(channels, LANES);
    for (int64_t i = 0; i < group->vectors; i++) {
        const int64_t c = group->channel + i * LANES;
        group->lanes[i] = min_i64(LANES, channels - i * LANES);
        group->rate[i] = wkv_rate(vf_load_first(decay + c, group->lanes[i]));
        group->bonus[i] = vf_load_first(first + c, group->lanes[i]);
    }
}

#endif
