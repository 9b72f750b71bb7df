/* A diagonal state space as a recurrence.
 *
 * A lane is a mode: the input of a channel enters all of them, and their sum is its output. A chunk of positions goes
 * through LANES modes at a time, whose sums wait as vectors; between chunks the state waits as doubles in a slice of the
 * workspace that belongs to the worker. */
#include "diagonal_ssm.h"

enum { CHUNK_POSITIONS = 64, TASK_HEADS = 4 };

typedef struct scan_job {
    const pan_diagonal_ssm_scan_desc *desc;
    ssm_arrays arrays;
    int64_t channels;
    int64_t vectors;       /* of LANES modes in a head */
    int64_t task_channels; /* of any example */
    const float *u;
    float *y;
    float *state;
    ssm_lanes *lanes;   /* (heads, vectors) */
    vd_complex *states; /* (workers, vectors) */
} scan_job;

static void heads_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const scan_job *job = context;
    const tile_range heads = tile_at(task, TASK_HEADS, job->desc->heads);
    memset(job->lanes + heads.begin * job->vectors, 0,
           (size_t) ((heads.end - heads.begin) * job->vectors) * sizeof *job->lanes);
    for (int64_t h = heads.begin; h < heads.end; h++) {
        for (int64_t n = 0; n < job->desc->modes; n++) {
            ssm_set_lane(&job->lanes[h * job->vectors + n / LANES], n % LANES, &job->arrays, h, n);
        }
    }
}

/* Takes a channel's state from where it is kept, or back there. */
static void read_state(const scan_job *job, const float *kept, vd_complex *states) {
    memset(states, 0, (size_t) job->vectors * sizeof *states);
    for (int64_t n = 0; n < job->desc->modes; n++) {
        *vd_lane(&states[n / LANES].re, n % LANES) = kept[2 * n];
        *vd_lane(&states[n / LANES].im, n % LANES) = kept[2 * n + 1];
    }
}

static void write_state(const scan_job *job, vd_complex *states, float *kept) {
    for (int64_t n = 0; n < job->desc->modes; n++) {
        kept[2 * n] = (float) *vd_lane(&states[n / LANES].re, n % LANES);
        kept[2 * n + 1] = (float) *vd_lane(&states[n / LANES].im, n % LANES);
    }
}

/* Sends a chunk of inputs, `channels` floats apart, through LANES modes; adds to what the outputs are sums of. */
static void scan_vector(const scan_job *job, const ssm_lanes *mode, const float *u, int64_t positions,
                        vd_complex *state, vd *sums) {
    const vd_complex ratio = mode->ratio, coefficient = mode->coefficient;
    vd_complex z = flush_tiny(*state);
    for (int64_t t = 0; t < positions; t++) {
        z = vd_complex_multiply(ratio, z);
        z.re = vd_add(z.re, vd_splat(u[t * job->channels]));
        sums[t] = vd_multiply_add(coefficient.re, z.re, sums[t]);
        sums[t].low -= coefficient.im.low * z.im.low;
        sums[t].high -= coefficient.im.high * z.im.high;
    }
    *state = z;
}

static void scan_channel(const scan_job *job, int64_t index, vd_complex *states) {
    const int64_t channel = index % job->channels;
    const int64_t first = index / job->channels * job->desc->length * job->channels + channel;
    const ssm_lanes *lanes = job->lanes + channel % job->desc->heads * job->vectors;
    float *kept = job->state + index * 2 * job->desc->modes;
    read_state(job, kept, states);
    for (int64_t begin = 0; begin < job->desc->length; begin += CHUNK_POSITIONS) {
        const int64_t positions = min_i64(CHUNK_POSITIONS, job->desc->length - begin);
        const int64_t offset = first + begin * job->channels;
        vd sums[CHUNK_POSITIONS];
        memset(sums, 0, (size_t) positions * sizeof *sums);
        for (int64_t v = 0; v < job->vectors; v++) {
            scan_vector(job, &lanes[v], job->u + offset, positions, &states[v], sums);
        }
        for (int64_t t = 0; t < positions; t++) {
            job->y[offset + t * job->channels] = (float) (2.0 * vd_sum(sums[t]));
        }
    }
    write_state(job, states, kept);
}

static void channels_task(void *context, int64_t task, int32_t worker) {
    const scan_job *job = context;
    const tile_range channels = tile_at(task, job->task_channels, job->desc->batch * job->channels);
    for (int64_t index = channels.begin; index < channels.end; index++) {
        scan_channel(job, index, job->states + worker * job->vectors);
    }
}

static int64_t lanes_bytes(const pan_diagonal_ssm_scan_desc *desc) {
    return desc->heads * ceil_div(desc->modes, LANES) * (int64_t) sizeof(ssm_lanes);
}

pan_status PAN_BODY(diagonal_ssm_scan_workspace_size)(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc,
                                                      int64_t *bytes) {
    *bytes = lanes_bytes(desc) +
             pan_pool_threads(stream->device->pool) * ceil_div(desc->modes, LANES) * (int64_t) sizeof(vd_complex);
    return PAN_OK;
}

pan_status PAN_BODY(diagonal_ssm_scan)(pan_stream *stream, const pan_diagonal_ssm_scan_desc *desc, const void *u,
                                       const float *log_dt, const float *a_real_log, const float *a_imag,
                                       const float *b, const float *c, float *state, void *y, void *workspace,
                                       int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    scan_job job = {.desc = desc,
                    .arrays = {desc->heads, desc->modes, log_dt, a_real_log, a_imag, b, c},
                    .channels = desc->repeats * desc->heads,
                    .vectors = ceil_div(desc->modes, LANES),
                    .task_channels = tile_rows(16 * desc->length * desc->modes),
                    .u = u,
                    .y = y,
                    .state = state,
                    .lanes = workspace,
                    .states = (vd_complex *) (void *) ((char *) workspace + lanes_bytes(desc))};
    pan_parallel(pool, ceil_div(desc->heads, TASK_HEADS), heads_task, &job);
    pan_parallel(pool, ceil_div(desc->batch * job.channels, job.task_channels), channels_task, &job);
    return PAN_OK;
}
