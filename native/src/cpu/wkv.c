/* The RWKV-4 recurrence. Lanes are channels; a group of them is walked over from the first position to the last. */
#include "wkv.h"

/* Elements of a task, at least, unless there are fewer: their exponentials are worth waking a worker for. */
enum { TASK_ELEMENTS = 4096 };

typedef struct wkv_job {
    const pan_wkv_desc *desc;
    wkv_groups groups;
    int64_t task_groups;
    const float *k;
    const float *v;
    const float *decay;
    const float *first;
    const float *initial_state; /* may be NULL */
    float *y;
    float *final_state; /* may be NULL */
} wkv_job;

/* Sums over the positions so far. */
typedef struct sums {
    vf numerator;
    vf denominator;
    wkv_exponent exponent;
} sums;

static sums first_sums(const float *state, int64_t channels, int64_t lanes) {
    sums s = {.exponent.base = vf_splat(WKV_LEAST_EXPONENT)};
    if (state != NULL) {
        s.numerator = vf_load_first(state, lanes);
        s.denominator = vf_load_first(state + channels, lanes);
        const vf exponent = vf_load_first(state + 2 * channels, lanes);
        s.exponent.base = vf_select(s.denominator == 0.0f, s.exponent.base, exponent);
    }
    return s;
}

/* What rounding to a float cuts off the exponent goes into the sums: many calls in a row, each with one position, would
 * add it up. */
static void store_sums(const sums *s, vf rate, float *state, int64_t channels, int64_t lanes) {
    const vd decays = vd_from_vf(s->exponent.decays);
    const vd negative_rate = vd_from_vf(-rate);
    const vd exact = vd_multiply_add(decays, negative_rate, vd_from_vf(s->exponent.base));
    const vf rounded = vf_max(vf_splat(WKV_LEAST_EXPONENT), vf_from_vd(exact));
    const vd minus_rounded = vd_from_vf(-rounded);
    const vf rest = vf_from_vd(vd_add(exact, minus_rounded));
    const vf growth = vf_select(vf_abs(rest) < 1e-3f, rest, vf_splat(0.0f));
    vf_store_first(state, s->numerator + s->numerator * growth, lanes);
    vf_store_first(state + channels, s->denominator + s->denominator * growth, lanes);
    vf_store_first(state + 2 * channels, rounded, lanes);
}

PAN_INLINE vf take_position(vf rate, vf bonus, vf k, vf v, sums *s) {
    const vf ahead = k - s->exponent.base;
    const wkv_weights now = wkv_weigh((ahead + rate * s->exponent.decays) + bonus);
    const vf y = wkv_quotient(now.first * s->numerator + now.second * v, now.first * s->denominator + now.second);
    const vf decays = s->exponent.decays + 1.0f;
    const wkv_weights later = wkv_weigh(ahead + rate * decays);
    s->numerator = later.first * s->numerator + later.second * v;
    s->denominator = later.first * s->denominator + later.second;
    s->exponent.base = vf_select(later.by_second, k, s->exponent.base);
    s->exponent.decays = vf_select(later.by_second, vf_splat(0.0f), decays);
    return y;
}

static void walk(const wkv_job *job, const wkv_group *group) {
    const pan_wkv_desc *desc = job->desc;
    const int64_t state = group->example * 3 * desc->channels + group->channel;
    sums s[MOST_GROUP_VECTORS];
    for (int64_t i = 0; i < group->vectors; i++) {
        const float *initial = job->initial_state == NULL ? NULL : job->initial_state + state + i * LANES;
        s[i] = first_sums(initial, desc->channels, group->lanes[i]);
    }
    for (int64_t t = 0; t < desc->length; t++) {
        const int64_t row = group->begin + t * desc->channels;
        for (int64_t i = 0; i < group->vectors; i++) {
            const int64_t at = row + i * LANES, lanes = group->lanes[i];
            const vf k = vf_load_first(job->k + at, lanes), v = vf_load_first(job->v + at, lanes);
            vf_store_first(job->y + at, take_position(group->rate[i], group->bonus[i], k, v, &s[i]), lanes);
        }
    }
    for (int64_t i = 0; i < group->vectors && job->final_state != NULL; i++) {
        store_sums(&s[i], group->rate[i], job->final_state + state + i * LANES, desc->channels, group->lanes[i]);
    }
}

static void walk_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const wkv_job *job = context;
    const tile_range groups = tile_at(task, job->task_groups, job->groups.count);
    for (int64_t i = groups.begin; i < groups.end; i++) {
        wkv_group group;
        wkv_enter_group(job->desc, &job->groups, i, job->decay, job->first, &group);
        walk(job, &group);
    }
}

pan_status PAN_BODY(wkv_forward)(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                 const float *decay, const float *first, const float *initial_state, void *y,
                                 float *final_state) {
    wkv_job job = {.desc = desc,
                   .groups = wkv_groups_of(desc),
                   .k = k,
                   .v = v,
                   .decay = decay,
                   .first = first,
                   .initial_state = initial_state,
                   .y = y,
                   .final_state = final_state};
    job.task_groups = ceil_div(TASK_ELEMENTS, desc->length * job.groups.channels);
    pan_parallel(stream->device->pool, ceil_div(job.groups.count, job.task_groups), walk_task, &job);
    return PAN_OK;
}
