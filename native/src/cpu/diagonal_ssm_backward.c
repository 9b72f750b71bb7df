/* Gradient of the filter of a diagonal state space.
 *
 * A lane is a head, a task a few modes of LANES heads. It goes over the taps once, in chunks whose weights are made
 * doubles once for all its modes, and sums them against the powers of each mode's ratio and against their slopes; what
 * follows from the two sums is arithmetic of one mode. The gradient of a head's time step is a sum over its modes: their
 * shares are kept in the workspace and added up in their order. */
#include "diagonal_ssm.h"

enum { CHUNK_TAPS = 64, TASK_MODES = 8 };

typedef struct backward_job {
    const pan_diagonal_ssm_desc *desc;
    ssm_arrays arrays;
    int64_t across; /* tasks of a block of heads */
    const ssm_lanes *lanes;
    const float *dfilter;
    float *dlog_dt; /* each may be NULL */
    float *da_real_log;
    float *da_imag;
    float *db;
    float *dc;
    double *log_dt_shares; /* (heads, modes) */
} backward_job;

/* What is known of a mode before a chunk of taps. */
typedef struct mode_sums {
    vd_complex power;  /* Abar^l at its first tap */
    vd_complex powers; /* sum of dfilter[l] Abar^l */
    vd_complex slopes; /* sum of dfilter[l] l Abar^(l-1) */
} mode_sums;

/* The weights of a chunk: dfilter[l], and (l + 1) dfilter[l + 1], which is 0 behind the last tap. */
typedef struct chunk_weights {
    vd power[CHUNK_TAPS];
    vd slope[CHUNK_TAPS];
} chunk_weights;

static vd tap_weights(const backward_job *job, tile_range heads, int64_t l) {
    if (l >= job->desc->length) {
        return vd_splat(0.0);
    }
    return vd_from_vf(vf_load_first(job->dfilter + l * job->desc->heads + heads.begin, heads.end - heads.begin));
}

static void load_chunk(const backward_job *job, tile_range heads, tile_range taps, chunk_weights *weights) {
    vd now = tap_weights(job, heads, taps.begin);
    for (int64_t l = taps.begin; l < taps.end; l++) {
        const vd next = tap_weights(job, heads, l + 1);
        const double number = (double) (l + 1);
        weights->power[l - taps.begin] = now;
        weights->slope[l - taps.begin] = (vd){next.low * number, next.high * number};
        now = next;
    }
}

static void add_chunk(const ssm_lanes *mode, const chunk_weights *weights, int64_t taps, mode_sums *sums) {
    const vd_complex ratio = mode->ratio;
    vd_complex power = flush_tiny(sums->power), powers = sums->powers, slopes = sums->slopes;
    for (int64_t t = 0; t < taps; t++) {
        const vd weight = weights->power[t], slope = weights->slope[t];
        powers.re = vd_multiply_add(weight, power.re, powers.re);
        powers.im = vd_multiply_add(weight, power.im, powers.im);
        slopes.re = vd_multiply_add(slope, power.re, slopes.re);
        slopes.im = vd_multiply_add(slope, power.im, slopes.im);
        power = vd_complex_multiply(power, ratio);
    }
    *sums = (mode_sums){power, powers, slopes};
}

static void add_at(float *array, int64_t index, double value) {
    if (array != NULL) {
        array[index] = (float) (array[index] + value);
    }
}

static void give_mode(const backward_job *job, int64_t h, int64_t n, pan_complex powers, pan_complex slopes) {
    const pan_ssm_parameters parameters = ssm_parameters(&job->arrays, h, n);
    const pan_ssm_parameters gradient = pan_ssm_gradient(&parameters, powers, slopes);
    const int64_t i = h * job->desc->modes + n;
    job->log_dt_shares[i] = gradient.log_dt;
    add_at(job->da_real_log, i, gradient.a_real_log);
    add_at(job->da_imag, i, gradient.a_imag);
    add_at(job->db, 2 * i, gradient.b.re);
    add_at(job->db, 2 * i + 1, gradient.b.im);
    add_at(job->dc, 2 * i, gradient.c.re);
    add_at(job->dc, 2 * i + 1, gradient.c.im);
}

static void modes_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const backward_job *job = context;
    const int64_t block = task / job->across;
    const tile_range heads = tile_at(block, LANES, job->desc->heads);
    const tile_range modes = tile_at(task % job->across, TASK_MODES, job->desc->modes);
    mode_sums sums[TASK_MODES];
    memset(sums, 0, sizeof sums);
    for (int64_t n = modes.begin; n < modes.end; n++) {
        sums[n - modes.begin].power.re = vd_splat(1.0);
    }
    for (int64_t first = 0; first < job->desc->length; first += CHUNK_TAPS) {
        const tile_range taps = {first, min_i64(first + CHUNK_TAPS, job->desc->length)};
        chunk_weights weights;
        load_chunk(job, heads, taps, &weights);
        for (int64_t n = modes.begin; n < modes.end; n++) {
            add_chunk(&job->lanes[block * job->desc->modes + n], &weights, taps.end - taps.begin,
                      &sums[n - modes.begin]);
        }
    }
    for (int64_t n = modes.begin; n < modes.end; n++) {
        mode_sums *of = &sums[n - modes.begin];
        for (int64_t h = heads.begin; h < heads.end; h++) {
            const int64_t lane = h - heads.begin;
            give_mode(job, h, n, pan_complex_of(*vd_lane(&of->powers.re, lane), *vd_lane(&of->powers.im, lane)),
                      pan_complex_of(*vd_lane(&of->slopes.re, lane), *vd_lane(&of->slopes.im, lane)));
        }
    }
}

static void time_steps_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const backward_job *job = context;
    const tile_range heads = tile_at(task, tile_rows(job->desc->modes), job->desc->heads);
    for (int64_t h = heads.begin; h < heads.end; h++) {
        double sum = 0.0;
        for (int64_t n = 0; n < job->desc->modes; n++) {
            sum += job->log_dt_shares[h * job->desc->modes + n];
        }
        add_at(job->dlog_dt, h, sum);
    }
}

static int64_t lanes_bytes(const pan_diagonal_ssm_desc *desc) {
    return ssm_head_blocks(desc->heads) * desc->modes * (int64_t) sizeof(ssm_lanes);
}

pan_status PAN_BODY(diagonal_ssm_backward_workspace_size)(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                          int64_t *bytes) {
    (void) stream;
    *bytes = lanes_bytes(desc) + desc->heads * desc->modes * (int64_t) sizeof(double);
    return PAN_OK;
}

pan_status PAN_BODY(diagonal_ssm_backward)(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                           const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                           const float *dfilter, float *dlog_dt, float *da_real_log, float *da_imag,
                                           float *db, float *dc, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    backward_job job = {.desc = desc,
                        .arrays = {desc->heads, desc->modes, log_dt, a_real_log, a_imag, b, c},
                        .across = ceil_div(desc->modes, TASK_MODES),
                        .lanes = workspace,
                        .dfilter = dfilter,
                        .dlog_dt = dlog_dt,
                        .da_real_log = da_real_log,
                        .da_imag = da_imag,
                        .db = db,
                        .dc = dc,
                        .log_dt_shares = (double *) (void *) ((char *) workspace + lanes_bytes(desc))};
    PAN_BODY(ssm_discretize)(pool, &job.arrays, workspace);
    pan_parallel(pool, ssm_head_blocks(desc->heads) * job.across, modes_task, &job);
    if (dlog_dt != NULL) {
        pan_parallel(pool, ceil_div(desc->heads, tile_rows(desc->modes)), time_steps_task, &job);
    }
    return PAN_OK;
}
