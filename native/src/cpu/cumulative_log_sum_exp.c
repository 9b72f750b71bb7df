/* Cumulative log-sum-exp along the middle dimension of (outer, count, inner).
 *
 * Each of the outer * inner sequences is a lane. A sum is kept in double relative to a reference, which moves only when an
 * entry lies more than STEP above it: so what rounding does to the factors of such moves does not add up over the entries.
 * Backward goes from the last entry to the first with the sum of dy exp(-y), which is kept in the same way. */
#include "tile.h"
#include "vector_math.h"

#define STEP 4.0f

typedef struct scan_job {
    int64_t count, inner;
    int64_t sequences;
    int64_t task_sequences; /* a multiple of LANES */
    const float *x, *y, *dy;
    float *out; /* y, or dx */
} scan_job;

/* Where the entries of up to LANES sequences lie. */
typedef struct lane_group {
    int64_t count;
    bool side_by_side;
    int64_t step; /* from one entry to the next */
    int64_t at[LANES];
} lane_group;

static lane_group lane_group_of(const scan_job *job, int64_t first, int64_t end) {
    lane_group made = {.count = min_i64(LANES, end - first), .step = job->inner};
    for (int64_t l = 0; l < made.count; l++) {
        const int64_t sequence = first + l;
        made.at[l] = sequence / job->inner * job->count * job->inner + sequence % job->inner;
    }
    made.side_by_side = made.at[made.count - 1] - made.at[0] == made.count - 1;
    return made;
}

/* Entry k of each sequence; 0 in lanes without one. */
static inline vf load_entry(const float *x, const lane_group *lanes, int64_t k) {
    if (lanes->side_by_side) {
        return vf_load_first(x + lanes->at[0] + k * lanes->step, lanes->count);
    }
    float entry[LANES] = {0};
    for (int64_t l = 0; l < lanes->count; l++) {
        entry[l] = x[lanes->at[l] + k * lanes->step];
    }
    return vf_load(entry);
}

static inline void store_entry(float *y, vf value, const lane_group *lanes, int64_t k) {
    if (lanes->side_by_side) {
        vf_store_first(y + lanes->at[0] + k * lanes->step, value, lanes->count);
        return;
    }
    float entry[LANES];
    vf_store(entry, value);
    for (int64_t l = 0; l < lanes->count; l++) {
        y[lanes->at[l] + k * lanes->step] = entry[l];
    }
}

/* exp(a - b), and 1 where they are equal, infinities included. */
static inline vf share(vf a, vf b) {
    return vf_select(a == b, vf_splat(1.0f), vf_exp(a - b));
}

static inline vd vd_scale(vd a, vf factor) {
    return vd_multiply_add(a, vd_from_vf(factor), (vd){0});
}

static void forward_lanes(const scan_job *job, const lane_group *lanes) {
    vf reference = vf_splat(-INFINITY);
    vd sum = {0};
    for (int64_t k = 0; k < job->count; k++) {
        const vf x = load_entry(job->x, lanes, k);
        const vi above = x > reference + STEP;
        if (vi_any(above)) {
            const vf moved = vf_select(above, x, reference);
            sum = vd_scale(sum, share(reference, moved));
            reference = moved;
        }
        sum = vd_add(sum, vd_from_vf(share(x, reference)));
        store_entry(job->out, reference + vf_log(vf_from_vd(sum)), lanes, k);
    }
}

static void backward_lanes(const scan_job *job, const lane_group *lanes) {
    vf reference = vf_splat(INFINITY);
    vd sum = {0}; /* of dy[k] exp(reference - y[k]) */
    for (int64_t k = job->count - 1; k >= 0; k--) {
        const vf x = load_entry(job->x, lanes, k);
        const vf y = load_entry(job->y, lanes, k);
        const vf dy = load_entry(job->dy, lanes, k);
        /* An infinite y has no part in the gradient of a finite x. */
        const vi infinite = vf_abs(y) == INFINITY;
        const vi below = ~infinite & (y < reference - STEP);
        if (vi_any(below)) {
            const vf moved = vf_select(below, y, reference);
            sum = vd_scale(sum, share(moved, reference));
            reference = moved;
        }
        sum = vd_add(sum, vd_from_vf(vf_select(infinite, vf_splat(0.0f), dy * vf_exp(reference - y))));
        const vf dx = vf_from_vd(vd_scale(sum, vf_exp(x - reference)));
        store_entry(job->out, vf_select(x == -INFINITY, vf_splat(0.0f), dx), lanes, k);
    }
}

PAN_INLINE void scan_task(const scan_job *job, int64_t task, void (*scan)(const scan_job *, const lane_group *)) {
    const tile_range range = tile_at(task, job->task_sequences, job->sequences);
    for (int64_t first = range.begin; first < range.end; first += LANES) {
        const lane_group lanes = lane_group_of(job, first, range.end);
        scan(job, &lanes);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    scan_task(context, task, forward_lanes);
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    scan_task(context, task, backward_lanes);
}

static void run(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc, scan_job job, pan_task *task) {
    enum { LINE = 32, ENTRY_WORK = 16 }; /* sequences that share cache lines; an entry costs as much as a few sums */
    job.count = desc->count;
    job.inner = desc->inner;
    job.sequences = desc->outer * desc->inner;
    job.task_sequences = ceil_div(tile_rows(desc->count * ENTRY_WORK), LINE) * LINE;
    pan_parallel(stream->device->pool, ceil_div(job.sequences, job.task_sequences), task, &job);
}

pan_status PAN_BODY(cumulative_log_sum_exp_forward)(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                                    const void *x, void *y) {
    run(stream, desc, (scan_job){.x = x, .out = y}, forward_task);
    return PAN_OK;
}

pan_status PAN_BODY(cumulative_log_sum_exp_backward)(pan_stream *stream, const pan_cumulative_log_sum_exp_desc *desc,
                                                     const void *x, const void *y, const void *dy, void *dx) {
    run(stream, desc, (scan_job){.x = x, .y = y, .dy = dy, .out = dx}, backward_task);
    return PAN_OK;
}
