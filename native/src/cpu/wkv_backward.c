/* Gradient of the RWKV-4 recurrence.
 *
 * A group of channels is walked over forwards, to keep the state before each block of positions. Then the blocks are
 * taken from the last to the first. In each, outputs are computed anew, and with the mean m of the values so far output
 * y = m + share (v - m): what cancels in the formulas is taken from the steps between means, and not from the means.
 * Then its positions are walked over backwards, with sums over the later outputs that are kept relative to an
 * exponent, as those of the forward pass. Gradients of the parameters are added up for each example, then over the
 * examples. */
#include "wkv.h"

enum { BLOCK_POSITIONS = 32 };

/* What is kept of an output. */
typedef struct wkv_output {
    vf gradient;           /* dy / denominator */
    vf mean;               /* y */
    vf own;                /* share * dy: of the value of the same position */
    wkv_exponent exponent; /* which the denominator is relative to */
} wkv_output;

typedef struct wkv_backward_job {
    const pan_wkv_desc *desc;
    wkv_groups groups;
    int64_t task_channels; /* of tasks that add up the examples */
    const float *k;
    const float *v;
    const float *decay;
    const float *first;
    const float *dy;
    float *dk; /* these may be NULL */
    float *dv;
    float *ddecay;
    float *dfirst;
    float *partial; /* (2, batch, channels): of ddecay and of dfirst */
    char *scratch;  /* of the workers */
} wkv_backward_job;

static int64_t partial_bytes(const pan_wkv_desc *desc) {
    return align_up(2 * desc->batch * desc->channels * (int64_t) sizeof(float));
}

/* Sums over the positions so far: of their weights, and of those times how often each has decayed. */
typedef struct past {
    wkv_exponent exponent;
    vf mean;
    vf weight;
    vf age;
    vf leaning; /* sum of weight * decays * (value - mean) */
} past;

/* Terms of the parameters' gradients. */
typedef struct parameter_terms {
    vf decay;
    vf first;
} parameter_terms;

/* Sums over the later outputs, relative to the exponential of -base + decays * rate. */
typedef struct future {
    wkv_exponent exponent;
    vf gradient; /* of the outputs' gradients */
    vf product;  /* of those times the outputs */
} future;

/* Scratch memory of a worker. */
typedef struct backward_scratch {
    past (*before)[MOST_GROUP_VECTORS]; /* each block */
    wkv_output (*outputs)[MOST_GROUP_VECTORS];
} backward_scratch;

static int64_t blocks_of(const pan_wkv_desc *desc) {
    return ceil_div(desc->length, BLOCK_POSITIONS);
}

static int64_t worker_bytes(const pan_wkv_desc *desc) {
    return MOST_GROUP_VECTORS *
           (blocks_of(desc) * (int64_t) sizeof(past) + BLOCK_POSITIONS * (int64_t) sizeof(wkv_output));
}

/* One output; its terms are added to `terms`. */
PAN_INLINE wkv_output output_at(vf rate, vf bonus, const past *past, vf ahead, vf k, vf v, vf dy,
                                parameter_terms *terms) {
    const wkv_weights now = wkv_weigh((ahead + rate * past->exponent.decays) + bonus);
    const vf before = now.first * past->weight;
    const vf scale = wkv_quotient(vf_splat(1.0f), before + now.second);
    const vf share = now.second * scale;
    const vf step = share * (v - past->mean);
    const vf gradient = dy * scale;
    terms->first += dy * step * (before * scale);
    terms->decay -= rate * (gradient * now.first * (past->leaning - step * past->age));
    const vf none = vf_splat(0.0f);
    /* Where nothing has weight there is no exponent either: sums must not become relative to it on the way back. */
    const vf base = vf_select(now.by_second, k + bonus, past->exponent.base);
    return (wkv_output){.gradient = gradient,
                        .mean = past->mean + step,
                        .own = dy * share,
                        .exponent = {vf_select(scale == 0.0f, vf_splat(-WKV_LEAST_EXPONENT), base),
                                     vf_select(now.by_second, none, past->exponent.decays)}};
}

PAN_INLINE void pass_position(vf rate, vf ahead, vf k, vf v, past *past) {
    const vf decays = past->exponent.decays + 1.0f;
    const wkv_weights later = wkv_weigh(ahead + rate * decays);
    const vf age = later.first * (past->age + past->weight);
    past->weight = later.first * past->weight + later.second;
    const vf step = wkv_quotient(later.second, past->weight) * (v - past->mean);
    past->leaning = later.first * past->leaning - step * age;
    past->age = age;
    past->mean += step;
    past->exponent.base = vf_select(later.by_second, k, past->exponent.base);
    past->exponent.decays = vf_select(later.by_second, vf_splat(0.0f), decays);
}

/* The state before each block. */
static void walk_forwards(const wkv_backward_job *job, const wkv_group *group, const backward_scratch *scratch) {
    past past[MOST_GROUP_VECTORS];
    for (int64_t i = 0; i < group->vectors; i++) {
        past[i] = (struct past){.exponent.base = vf_splat(WKV_LEAST_EXPONENT)};
    }
    for (int64_t block = 0; block < blocks_of(job->desc); block++) {
        memcpy(scratch->before[block], past, sizeof past);
        const tile_range positions = tile_at(block, BLOCK_POSITIONS, job->desc->length);
        for (int64_t t = positions.begin; t < positions.end; t++) {
            const int64_t row = group->begin + t * job->desc->channels;
            for (int64_t i = 0; i < group->vectors; i++) {
                const vf k = vf_load_first(job->k + row + i * LANES, group->lanes[i]);
                const vf v = vf_load_first(job->v + row + i * LANES, group->lanes[i]);
                pass_position(group->rate[i], k - past[i].exponent.base, k, v, &past[i]);
            }
        }
    }
}

/* The outputs of a block. */
static void compute_outputs(const wkv_backward_job *job, const wkv_group *group, const backward_scratch *scratch,
                            int64_t block, parameter_terms *terms) {
    past past[MOST_GROUP_VECTORS];
    memcpy(past, scratch->before[block], sizeof past);
    const tile_range positions = tile_at(block, BLOCK_POSITIONS, job->desc->length);
    for (int64_t t = positions.begin; t < positions.end; t++) {
        const int64_t row = group->begin + t * job->desc->channels;
        for (int64_t i = 0; i < group->vectors; i++) {
            const int64_t at = row + i * LANES, lanes = group->lanes[i];
            const vf k = vf_load_first(job->k + at, lanes), v = vf_load_first(job->v + at, lanes);
            const vf dy = vf_load_first(job->dy + at, lanes), ahead = k - past[i].exponent.base;
            scratch->outputs[t - positions.begin][i] =
                output_at(group->rate[i], group->bonus[i], &past[i], ahead, k, v, dy, &terms[i]);
            pass_position(group->rate[i], ahead, k, v, &past[i]);
        }
    }
}

/* Adds an output to what earlier positions will see of it. */
PAN_INLINE void add_output(vf rate, const wkv_output *output, future *future) {
    const vf decays = future->exponent.decays - 1.0f;
    const vf ahead = (future->exponent.base - output->exponent.base) + rate * (output->exponent.decays - decays);
    const wkv_weights weights = wkv_weigh(ahead);
    future->gradient = weights.first * future->gradient + weights.second * output->gradient;
    future->product = weights.first * future->product + weights.second * (output->gradient * output->mean);
    future->exponent.base = vf_select(weights.by_second, output->exponent.base, future->exponent.base);
    future->exponent.decays = vf_select(weights.by_second, output->exponent.decays, decays);
}

/* dk and dv of a block. */
static void walk_backwards(const wkv_backward_job *job, const wkv_group *group, const backward_scratch *scratch,
                           int64_t block, future *future) {
    const tile_range positions = tile_at(block, BLOCK_POSITIONS, job->desc->length);
    for (int64_t s = positions.end - 1; s >= positions.begin; s--) {
        const int64_t row = group->begin + s * job->desc->channels;
        for (int64_t i = 0; i < group->vectors; i++) {
            const wkv_output *output = &scratch->outputs[s - positions.begin][i];
            const int64_t at = row + i * LANES, lanes = group->lanes[i];
            const vf k = vf_load_first(job->k + at, lanes), v = vf_load_first(job->v + at, lanes);
            const vf weight = vf_exp((k - future[i].exponent.base) + group->rate[i] * future[i].exponent.decays);
            if (job->dv != NULL) {
                vf_store_first(job->dv + at, weight * future[i].gradient + output->own, lanes);
            }
            if (job->dk != NULL) {
                const vf later = weight * (v * future[i].gradient - future[i].product);
                vf_store_first(job->dk + at, later + output->own * (v - output->mean), lanes);
            }
            add_output(group->rate[i], output, &future[i]);
        }
    }
}

static void group_task(void *context, int64_t task, int32_t worker) {
    const wkv_backward_job *job = context;
    const pan_wkv_desc *desc = job->desc;
    char *memory = job->scratch + worker * worker_bytes(desc);
    backward_scratch scratch = {.before = (void *) memory};
    scratch.outputs = (void *) (scratch.before + blocks_of(desc));
    wkv_group group;
    wkv_enter_group(desc, &job->groups, task, job->decay, job->first, &group);
    walk_forwards(job, &group, &scratch);
    future future[MOST_GROUP_VECTORS];
    vd decay_sum[MOST_GROUP_VECTORS], first_sum[MOST_GROUP_VECTORS];
    for (int64_t i = 0; i < group.vectors; i++) {
        future[i] = (struct future){.exponent.base = vf_splat(-WKV_LEAST_EXPONENT)};
        decay_sum[i] = first_sum[i] = vd_from_vf(vf_splat(0.0f));
    }
    for (int64_t block = blocks_of(desc) - 1; block >= 0; block--) {
        parameter_terms terms[MOST_GROUP_VECTORS];
        memset(terms, 0, sizeof terms);
        compute_outputs(job, &group, &scratch, block, terms);
        walk_backwards(job, &group, &scratch, block, future);
        for (int64_t i = 0; i < group.vectors; i++) {
            decay_sum[i] = vd_add(decay_sum[i], vd_from_vf(terms[i].decay));
            first_sum[i] = vd_add(first_sum[i], vd_from_vf(terms[i].first));
        }
    }
    float *partial = job->partial + group.example * desc->channels + group.channel;
    for (int64_t i = 0; i < group.vectors; i++) {
        vf_store_first(partial + i * LANES, vf_from_vd(decay_sum[i]), group.lanes[i]);
        vf_store_first(partial + desc->batch * desc->channels + i * LANES, vf_from_vd(first_sum[i]), group.lanes[i]);
    }
}

/* target += the sum over the examples */
static void add_examples(const pan_wkv_desc *desc, const float *partial, tile_range channels, float *target) {
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c);
        vd sum = {0};
        for (int64_t example = 0; example < desc->batch; example++) {
            sum = vd_add(sum, vd_from_vf(vf_load_first(partial + example * desc->channels + c, lanes)));
        }
        vf_store_first(target + c, vf_load_first(target + c, lanes) + vf_from_vd(sum), lanes);
    }
}

static void parameters_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const wkv_backward_job *job = context;
    const tile_range channels = tile_at(task, job->task_channels, job->desc->channels);
    if (job->ddecay != NULL) {
        add_examples(job->desc, job->partial, channels, job->ddecay);
    }
    if (job->dfirst != NULL) {
        add_examples(job->desc, job->partial + job->desc->batch * job->desc->channels, channels, job->dfirst);
    }
}

pan_status PAN_BODY(wkv_backward_workspace_size)(pan_stream *stream, const pan_wkv_desc *desc, int64_t *bytes) {
    *bytes = partial_bytes(desc) + pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(wkv_backward)(pan_stream *stream, const pan_wkv_desc *desc, const void *k, const void *v,
                                  const float *decay, const float *first, const void *dy, void *dk, void *dv,
                                  float *ddecay, float *dfirst, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    wkv_backward_job job = {.desc = desc,
                            .groups = wkv_groups_of(desc),
                            .task_channels = ceil_div(tile_rows(desc->batch), LANES) * LANES,
                            .k = k,
                            .v = v,
                            .decay = decay,
                            .first = first,
                            .dy = dy,
                            .dk = dk,
                            .dv = dv,
                            .ddecay = ddecay,
                            .dfirst = dfirst,
                            .partial = workspace,
                            .scratch = (char *) workspace + partial_bytes(desc)};
    pan_pool *pool = stream->device->pool;
    pan_parallel(pool, job.groups.count, group_task, &job);
    if (ddecay != NULL || dfirst != NULL) {
        pan_parallel(pool, ceil_div(desc->channels, job.task_channels), parameters_task, &job);
    }
    return PAN_OK;
}
