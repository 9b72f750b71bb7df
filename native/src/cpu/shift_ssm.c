/* The filter of a shift state space: a correlation of two arrays of state_size numbers for every channel.
 *
 * A lane is a tap, or in the gradients a place of the state, because that is how the parameters lie in memory; the
 * filter's columns are read and written one number at a time. Sums are kept in float for BLOCK_TERMS terms and then in
 * double. A task is the channels of a cache line of the filter. */
#include "tile.h"
#include "vector_double.h"

enum { BLOCK_TERMS = 64, TERMS_AT_ONCE = 4, TASK_CHANNELS = 16 };

typedef struct shift_job {
    const pan_shift_ssm_desc *desc;
    int64_t taps; /* that can differ from 0 */
    const float *b;
    const float *c;
    float *filter;
    const float *dfilter;
    float *db; /* may be NULL, as dc */
    float *dc;
} shift_job;

static int64_t used_taps(const pan_shift_ssm_desc *desc) {
    return min_i64(desc->state_size, desc->length);
}

/* sum_{i < count} weight[i * stride] x[i * step .. + LANES), where all of these can be read. */
PAN_INLINE vd whole_terms(const float *weight, int64_t stride, const float *x, int64_t step, int64_t count) {
    vd sum = {{0}, {0}};
    for (int64_t first = 0; first < count; first += BLOCK_TERMS) {
        const int64_t end = min_i64(first + BLOCK_TERMS, count);
        vf part[TERMS_AT_ONCE] = {{0}};
        int64_t i = first;
        for (; i + TERMS_AT_ONCE <= end; i += TERMS_AT_ONCE) {
            for (int k = 0; k < TERMS_AT_ONCE; k++) {
                part[k] += weight[(i + k) * stride] * vf_load(x + (i + k) * step);
            }
        }
        for (; i < end; i++) {
            part[0] += weight[i * stride] * vf_load(x + i * step);
        }
        sum = vd_add(sum, vd_from_vf((part[0] + part[1]) + (part[2] + part[3])));
    }
    return sum;
}

/* sum_i weight[i * stride] x[i + lane] over i < count and those lanes of a term for which i + lane < size. */
static vd forward_terms(const float *weight, int64_t stride, int64_t count, const float *x, int64_t size) {
    int64_t whole = size - LANES + 1;
    whole = whole < 0 ? 0 : min_i64(whole, count);
    vd sum = whole_terms(weight, stride, x, 1, whole);
    for (int64_t i = whole; i < count; i++) {
        const vf term = weight[i * stride] * vf_load_first(x + i, size - i);
        sum = vd_add(sum, vd_from_vf(vf_keep_first(term, size - i)));
    }
    return sum;
}

/* sum_i weight[i * stride] x[first + lane - i] over i < count and those lanes of a term for which
 * 0 <= first + lane - i, in lanes with first + lane < size; in others anything. */
static vd backward_terms(const float *weight, int64_t stride, int64_t count, const float *x, int64_t first,
                         int64_t size) {
    const int64_t lanes = size - first;
    const int64_t whole = lanes >= LANES ? min_i64(first + 1, count) : 0;
    vd sum = whole_terms(weight, stride, x + first, -1, whole);
    int64_t i = whole;
    for (; i <= first && i < count; i++) {
        sum = vd_add(sum, vd_from_vf(weight[i * stride] * vf_load_part(x + first - i, lanes, 0.0f)));
    }
    float begin[2 * LANES] = {0}; /* x behind as many zeros as a vector has lanes */
    vf_store(begin + LANES, vf_load_first(x, size));
    for (; i < count && i < first + LANES; i++) {
        const int32_t absent = (int32_t) (i - first);
        const vf term = weight[i * stride] * vf_load(begin + LANES - absent);
        sum = vd_add(sum, vd_from_vf((vf) ((vi) term & (vi_lane_numbers() >= absent))));
    }
    return sum;
}

static void forward_channel(const shift_job *job, int64_t h) {
    const int64_t size = job->desc->state_size, channels = job->desc->channels;
    const float *b = job->b + h * size, *c = job->c + h * size;
    for (int64_t l = 0; l < job->taps; l += LANES) {
        const vf taps = vf_from_vd(forward_terms(b, 1, size - l, c + l, size - l));
        for (int64_t lane = 0; lane < min_i64(LANES, job->taps - l); lane++) {
            job->filter[(l + lane) * channels + h] = taps[lane];
        }
    }
    for (int64_t l = job->taps; l < job->desc->length; l++) {
        job->filter[l * channels + h] = 0.0f;
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const shift_job *job = context;
    const tile_range channels = tile_at(task, TASK_CHANNELS, job->desc->channels);
    for (int64_t h = channels.begin; h < channels.end; h++) {
        forward_channel(job, h);
    }
}

pan_status PAN_BODY(shift_ssm_forward)(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b,
                                       const float *c, float *filter) {
    shift_job job = {.desc = desc, .taps = used_taps(desc), .b = b, .c = c, .filter = filter};
    pan_parallel(stream->device->pool, ceil_div(desc->channels, TASK_CHANNELS), forward_task, &job);
    return PAN_OK;
}

static void add_lanes(float *to, vd sum, int64_t lanes) {
    vf_store_first(to, vf_load_first(to, lanes) + vf_from_vd(sum), lanes);
}

static void backward_channel(const shift_job *job, int64_t h) {
    const int64_t size = job->desc->state_size, channels = job->desc->channels;
    const float *dfilter = job->dfilter + h;
    for (int64_t n = 0; n < size; n += LANES) {
        const int64_t lanes = size - n;
        if (job->db != NULL) {
            const float *c = job->c + h * size + n;
            add_lanes(job->db + h * size + n, forward_terms(dfilter, channels, min_i64(job->taps, lanes), c, lanes),
                      lanes);
        }
        if (job->dc != NULL) {
            const float *b = job->b + h * size;
            add_lanes(job->dc + h * size + n, backward_terms(dfilter, channels, job->taps, b, n, size), lanes);
        }
    }
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const shift_job *job = context;
    const tile_range channels = tile_at(task, TASK_CHANNELS, job->desc->channels);
    for (int64_t h = channels.begin; h < channels.end; h++) {
        backward_channel(job, h);
    }
}

pan_status PAN_BODY(shift_ssm_backward)(pan_stream *stream, const pan_shift_ssm_desc *desc, const float *b,
                                        const float *c, const float *dfilter, float *db, float *dc) {
    shift_job job = {.desc = desc, .taps = used_taps(desc), .b = b, .c = c, .dfilter = dfilter, .db = db, .dc = dc};
    pan_parallel(stream->device->pool, ceil_div(desc->channels, TASK_CHANNELS), backward_task, &job);
    return PAN_OK;
}
