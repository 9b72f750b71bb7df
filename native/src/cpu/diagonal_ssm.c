/* The filter of a diagonal state space.
 *
 * A lane is a head. Powers of the ratios go on from tap to tap by one complex product in double, whose error after l
 * taps is some l units in the last place; a chunk of taps begins with a power of its own, found by squaring, so that
 * chunks are independent tasks. The sums over the modes of a chunk's taps stay in the first-level cache. */
#include "diagonal_ssm.h"

enum { CHUNK_TAPS = 128, TASK_MODES = 16 };

typedef struct discretize_job {
    const ssm_arrays *arrays;
    int64_t across; /* tasks of a block of heads */
    ssm_lanes *lanes;
} discretize_job;

static void discretize_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const discretize_job *job = context;
    const tile_range heads = tile_at(task / job->across, LANES, job->arrays->heads);
    const tile_range modes = tile_at(task % job->across, TASK_MODES, job->arrays->modes);
    for (int64_t n = modes.begin; n < modes.end; n++) {
        ssm_lanes *lanes = &job->lanes[task / job->across * job->arrays->modes + n];
        memset(lanes, 0, sizeof *lanes);
        for (int64_t h = heads.begin; h < heads.end; h++) {
            ssm_set_lane(lanes, h - heads.begin, job->arrays, h, n);
        }
    }
}

void PAN_BODY(ssm_discretize)(struct pan_pool *pool, const ssm_arrays *arrays, ssm_lanes *lanes) {
    discretize_job job = {.arrays = arrays, .across = ceil_div(arrays->modes, TASK_MODES), .lanes = lanes};
    pan_parallel(pool, ssm_head_blocks(arrays->heads) * job.across, discretize_task, &job);
}

typedef struct forward_job {
    const pan_diagonal_ssm_desc *desc;
    int64_t chunks;
    const ssm_lanes *lanes;
    float *filter;
} forward_job;

static vd_complex power_of(vd_complex square, int64_t exponent) {
    vd_complex power = {vd_splat(1.0), vd_splat(0.0)};
    for (; exponent > 0; exponent /= 2) {
        if (exponent % 2 == 1) {
            power = vd_complex_multiply(power, square);
        }
        square = flush_tiny(vd_complex_multiply(square, square));
    }
    return power;
}

/* Adds Re Cbar Abar^(first + t) of one mode to sums[t]. */
static void add_mode(const ssm_lanes *mode, int64_t first, int64_t taps, vd *sums) {
    vd_complex term = vd_complex_multiply(flush_tiny(power_of(mode->ratio, first)), mode->coefficient);
    for (int64_t t = 0; t < taps; t++) {
        sums[t] = vd_add(sums[t], term.re);
        term = vd_complex_multiply(term, mode->ratio);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const forward_job *job = context;
    const int64_t block = task / job->chunks;
    const tile_range taps = tile_at(task % job->chunks, CHUNK_TAPS, job->desc->length);
    const tile_range heads = tile_at(block, LANES, job->desc->heads);
    vd sums[CHUNK_TAPS];
    memset(sums, 0, sizeof sums);
    for (int64_t n = 0; n < job->desc->modes; n++) {
        add_mode(&job->lanes[block * job->desc->modes + n], taps.begin, taps.end - taps.begin, sums);
    }
    for (int64_t l = taps.begin; l < taps.end; l++) {
        const vd sum = sums[l - taps.begin];
        vf_store_first(job->filter + l * job->desc->heads + heads.begin, vf_from_vd(vd_add(sum, sum)),
                       heads.end - heads.begin);
    }
}

pan_status PAN_BODY(diagonal_ssm_forward_workspace_size)(pan_stream *stream, const pan_diagonal_ssm_desc *desc,
                                                         int64_t *bytes) {
    (void) stream;
    *bytes = ssm_head_blocks(desc->heads) * desc->modes * (int64_t) sizeof(ssm_lanes);
    return PAN_OK;
}

pan_status PAN_BODY(diagonal_ssm_forward)(pan_stream *stream, const pan_diagonal_ssm_desc *desc, const float *log_dt,
                                          const float *a_real_log, const float *a_imag, const float *b, const float *c,
                                          float *filter, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    const ssm_arrays arrays = {desc->heads, desc->modes, log_dt, a_real_log, a_imag, b, c};
    PAN_BODY(ssm_discretize)(pool, &arrays, workspace);
    forward_job job = {
        .desc = desc, .chunks = ceil_div(desc->length, CHUNK_TAPS), .lanes = workspace, .filter = filter};
    pan_parallel(pool, ssm_head_blocks(desc->heads) * job.chunks, forward_task, &job);
    return PAN_OK;
}
