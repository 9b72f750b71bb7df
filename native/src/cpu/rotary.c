/* Rotary position embedding. A unit is one position of some examples; its sines and cosines are computed once for all
 * of their heads. */
#include "tile.h"
#include "vector_math.h"

/* Pairs whose sines and cosines are held at once, and the elements for which it is worth computing them again. */
enum { HELD_PAIRS = 256, UNIT_ELEMENTS = 4096 };

typedef struct rotary_job {
    const pan_rotary_desc *desc;
    double first_position;
    int64_t first_pair; /* of those that are held */
    int64_t pairs;
    double frequency[HELD_PAIRS]; /* in radians for each position */
    double highest;
    int64_t unit_batch;
    int64_t units;
    int64_t task_units;
    const float *x;
    float *y;
} rotary_job;

/* What turns the pairs of one position. */
typedef struct rotation {
    float cosine[HELD_PAIRS];
    float sine[HELD_PAIRS];
} rotation;

static inline vf sine_of(vd angle, int32_t quarters) {
    vd n;
    const vd r = {reduce_half(angle.low, &n.low), reduce_half(angle.high, &n.high)};
    return vf_sin_quadrant(vf_from_vd(r), (vi) (vf_from_vd(n) + PAN_ROUND_F32) + quarters);
}

static void rotation_at(const rotary_job *job, double position, rotation *r) {
    if (fabs(position) * job->highest <= PAN_TRIGONOMETRIC_LIMIT) {
        for (int64_t i = 0; i < job->pairs; i += LANES) { /* HELD_PAIRS is a multiple of LANES */
            vd angle;
            memcpy(&angle, job->frequency + i, sizeof angle);
            angle = (vd){angle.low * position, angle.high * position};
            vf_store(r->cosine + i, sine_of(angle, 1));
            vf_store(r->sine + i, sine_of(angle, 0));
        }
        return;
    }
    for (int64_t i = 0; i < job->pairs; i++) {
        r->cosine[i] = (float) cos(job->frequency[i] * position);
        r->sine[i] = (float) sin(job->frequency[i] * position);
    }
}

/* Pairs whose elements lie `half` apart. */
static void rotate_halves(const rotation *r, const float *x, float *y, int64_t pairs, int64_t half) {
    for (int64_t i = 0; i < pairs; i += LANES) {
        const int64_t lanes = pairs - i;
        const vf a = vf_load_first(x + i, lanes), b = vf_load_first(x + half + i, lanes);
        const vf cosine = vf_load(r->cosine + i), sine = vf_load(r->sine + i);
        vf_store_first(y + i, a * cosine - b * sine, lanes);
        vf_store_first(y + half + i, b * cosine + a * sine, lanes);
    }
}

/* Pairs of neighbours: `cosine` and `sine` hold each number twice, the sine's first one negated. */
static void rotate_neighbours(const float *cosine, const float *sine, const float *x, float *y, int64_t elements) {
    for (int64_t i = 0; i < elements; i += LANES) {
        const int64_t lanes = elements - i;
        const vf a = vf_load_first(x + i, lanes);
        vf_store_first(y + i, a * vf_load(cosine + i) + vf_swap_lanes(a, 1) * vf_load(sine + i), lanes);
    }
}

static void rotate_unit(const rotary_job *job, int64_t unit) {
    const pan_rotary_desc *desc = job->desc;
    const int64_t t = unit % desc->length;
    const tile_range batch = tile_at(unit / desc->length, job->unit_batch, desc->batch);
    const double position = job->first_position + (double) t;
    rotation r = {0};
    float cosine[2 * HELD_PAIRS], sine[2 * HELD_PAIRS];
    rotation_at(job, desc->inverse ? -position : position, &r);
    for (int64_t i = 0; desc->interleaved && i < ceil_div(job->pairs, LANES) * LANES; i++) {
        cosine[2 * i] = cosine[2 * i + 1] = r.cosine[i];
        sine[2 * i] = -r.sine[i];
        sine[2 * i + 1] = r.sine[i];
    }
    for (int64_t b = batch.begin; b < batch.end; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            const float *x = job->x + b * desc->x.batch_stride + t * desc->x.length_stride + h * desc->x.head_stride;
            float *y = job->y + b * desc->y.batch_stride + t * desc->y.length_stride + h * desc->y.head_stride;
            if (desc->interleaved) {
                rotate_neighbours(cosine, sine, x + 2 * job->first_pair, y + 2 * job->first_pair, 2 * job->pairs);
            } else {
                rotate_halves(&r, x + job->first_pair, y + job->first_pair, job->pairs, desc->head_dim / 2);
            }
        }
    }
}

static void rotate_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const rotary_job *job = context;
    const tile_range units = tile_at(task, job->task_units, job->units);
    for (int64_t unit = units.begin; unit < units.end; unit++) {
        rotate_unit(job, unit);
    }
}

static void hold_pairs(rotary_job *job, int64_t first) {
    const pan_rotary_desc *desc = job->desc;
    job->first_pair = first;
    job->pairs = min_i64(HELD_PAIRS, desc->head_dim / 2 - first);
    job->highest = 0.0;
    memset(job->frequency, 0, sizeof job->frequency);
    for (int64_t i = 0; i < job->pairs; i++) {
        job->frequency[i] = pow(desc->base, -2.0 * (double) (first + i) / (double) desc->head_dim);
        job->highest = fmax(job->highest, job->frequency[i]);
    }
}

pan_status PAN_BODY(rotary)(pan_stream *stream, const pan_rotary_desc *desc, const int32_t *first_position,
                            const void *x, void *y) {
    rotary_job job = {.desc = desc, .first_position = first_position == NULL ? 0.0 : *first_position, .x = x, .y = y};
    const int64_t example = desc->heads * desc->head_dim;
    job.unit_batch = min_i64(desc->batch, ceil_div(UNIT_ELEMENTS, example));
    job.units = desc->length * ceil_div(desc->batch, job.unit_batch);
    job.task_units = tile_rows(job.unit_batch * example);
    for (int64_t first = 0; first < desc->head_dim / 2; first += HELD_PAIRS) {
        hold_pairs(&job, first);
        pan_parallel(stream->device->pool, ceil_div(job.units, job.task_units), rotate_task, &job);
    }
    return PAN_OK;
}
