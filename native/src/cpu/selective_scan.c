/* The selective scan of Mamba. */
#include "selective_scan.h"

typedef struct forward_job {
    const pan_selective_scan_desc *desc;
    scan_grid grid;
    const float *u;
    const float *delta;
    const float *a_log;
    const float *b;
    const float *c;
    const float *skip; /* may be NULL, as what follows but y */
    const float *delta_bias;
    const float *z;
    const float *initial_state;
    float *y;
    float *checkpoints;
    float *final_state;
    float *scratch; /* of each worker: rates and states, (state_size, SCAN_CHANNELS) each */
} forward_job;

static int64_t scratch_floats(const pan_selective_scan_desc *desc) {
    return 2 * desc->state_size * SCAN_CHANNELS;
}

/* What the states need to know of a chunk's positions, and the outputs that they add to. */
typedef struct forward_chunk {
    scan_block step;
    scan_block input; /* step * u */
    scan_block output;
} forward_chunk;

static void begin_chunk(const forward_job *job, const scan_chunk *chunk, tile_range channels, forward_chunk *at) {
    const pan_selective_scan_desc *desc = job->desc;
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c), column = c - channels.begin;
        const vf skip = job->skip == NULL ? (vf){0} : vf_load_first(job->skip + c, lanes);
        for (int64_t t = 0; t < chunk->positions; t++) {
            const int64_t row = chunk->first_row + t;
            const vf step = step_of(job->delta + row * desc->delta_stride + c,
                                    job->delta_bias == NULL ? NULL : job->delta_bias + c, lanes)
                                .value;
            const vf u = vf_load_first(job->u + row * desc->u_stride + c, lanes);
            vf_store(&at->step[t][column], step);
            vf_store(&at->input[t][column], step * u);
            vf_store(&at->output[t][column], skip * u);
        }
    }
}

/* States n, n + 1, ... of the channels of one vector, over the positions of a chunk; `held` is a constant. */
PAN_INLINE void advance(const int held, const forward_job *job, const scan_chunk *chunk, int64_t n, int64_t column,
                        const float *rates, float *states, forward_chunk *at) {
    const pan_selective_scan_desc *desc = job->desc;
    const float *b = job->b + chunk->first_row * desc->b_stride + n;
    const float *c = job->c + chunk->first_row * desc->c_stride + n;
    vf rate[HELD_STATES], state[HELD_STATES];
    for (int i = 0; i < held; i++) {
        rate[i] = vf_load(rates + (n + i) * SCAN_CHANNELS + column);
        state[i] = vf_load(states + (n + i) * SCAN_CHANNELS + column);
    }
    for (int64_t t = 0; t < chunk->positions; t++, b += desc->b_stride, c += desc->c_stride) {
        const vf step = vf_load(&at->step[t][column]);
        const vf input = vf_load(&at->input[t][column]);
        vf output = vf_load(&at->output[t][column]);
        for (int i = 0; i < held; i++) {
            state[i] = decay_by(step * rate[i]) * state[i] + input * b[i];
            output += state[i] * c[i];
        }
        vf_store(&at->output[t][column], output);
    }
    for (int i = 0; i < held; i++) {
        vf_store(states + (n + i) * SCAN_CHANNELS + column, state[i]);
    }
}

static void advance_all(const forward_job *job, const scan_chunk *chunk, int64_t column, const float *rates,
                        float *states, forward_chunk *at) {
    int64_t n = 0;
    for (; n + HELD_STATES <= job->desc->state_size; n += HELD_STATES) {
        advance(HELD_STATES, job, chunk, n, column, rates, states, at);
    }
    for (; n < job->desc->state_size; n++) {
        advance(1, job, chunk, n, column, rates, states, at);
    }
}

static void end_chunk(const forward_job *job, const scan_chunk *chunk, tile_range channels, const forward_chunk *at) {
    const pan_selective_scan_desc *desc = job->desc;
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c);
        for (int64_t t = 0; t < chunk->positions; t++) {
            const int64_t row = chunk->first_row + t;
            vf y = vf_load(&at->output[t][c - channels.begin]);
            if (job->z != NULL) {
                y *= activate_silu(vf_load_first(job->z + row * desc->z_stride + c, lanes)).value;
            }
            vf_store_first(job->y + row * desc->y_stride + c, y, lanes);
        }
    }
}

/* Copies the states of a block of channels from rows of `from_stride` to rows of `to_stride`. */
static void copy_states(const float *from, int64_t from_stride, float *to, int64_t to_stride, int64_t states,
                        int64_t channels) {
    for (int64_t n = 0; n < states; n++) {
        memcpy(to + n * to_stride, from + n * from_stride, (size_t) channels * sizeof *to);
    }
}

static void scan_example(const forward_job *job, int64_t example, tile_range channels, const float *rates,
                         float *states) {
    const pan_selective_scan_desc *desc = job->desc;
    const int64_t size = desc->state_size, count = channels.end - channels.begin;
    const int64_t own = example * size * desc->channels + channels.begin;
    memset(states, 0, (size_t) (size * SCAN_CHANNELS) * sizeof *states);
    if (job->initial_state != NULL) {
        copy_states(job->initial_state + own, desc->channels, states, SCAN_CHANNELS, size, count);
    }
    forward_chunk at;
    for (int64_t i = 0; i < pan_scan_chunks(desc->length); i++) {
        const scan_chunk chunk = scan_chunk_at(desc, example, i);
        if (job->checkpoints != NULL) {
            copy_states(states, SCAN_CHANNELS,
                        job->checkpoints + chunk.checkpoint * size * desc->channels + channels.begin, desc->channels,
                        size, count);
        }
        begin_chunk(job, &chunk, channels, &at);
        for (int64_t column = 0; column < count; column += LANES) {
            advance_all(job, &chunk, column, rates, states, &at);
        }
        end_chunk(job, &chunk, channels, &at);
    }
    if (job->final_state != NULL) {
        copy_states(states, SCAN_CHANNELS, job->final_state + own, desc->channels, size, count);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    const forward_job *job = context;
    const pan_selective_scan_desc *desc = job->desc;
    float *rates = job->scratch + worker * scratch_floats(desc);
    float *states = rates + desc->state_size * SCAN_CHANNELS;
    const tile_range units = tile_at(task, job->grid.task_units, job->grid.groups * job->grid.across);
    for (int64_t i = units.begin; i < units.end; i++) {
        const scan_unit unit = scan_unit_at(&job->grid, desc, i);
        take_rates(desc, job->a_log, unit.channels, rates);
        for (int64_t example = unit.examples.begin; example < unit.examples.end; example++) {
            scan_example(job, example, unit.channels, rates, states);
        }
    }
}

pan_status PAN_BODY(selective_scan_checkpoints_size)(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                     int64_t *bytes) {
    (void) stream;
    *bytes = desc->batch * pan_scan_chunks(desc->length) * desc->state_size * desc->channels * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(selective_scan_forward_workspace_size)(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                           int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * scratch_floats(desc) * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(selective_scan_forward)(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                            const void *delta, const float *a_log, const void *b, const void *c,
                                            const float *skip, const float *delta_bias, const void *z,
                                            const float *initial_state, void *y, float *checkpoints, float *final_state,
                                            void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    forward_job job = {.desc = desc,
                       .grid = scan_grid_of(desc),
                       .u = u,
                       .delta = delta,
                       .a_log = a_log,
                       .b = b,
                       .c = c,
                       .skip = skip,
                       .delta_bias = delta_bias,
                       .z = z,
                       .initial_state = initial_state,
                       .y = y,
                       .checkpoints = checkpoints,
                       .final_state = final_state,
                       .scratch = workspace};
    pan_parallel(stream->device->pool, job.grid.tasks, forward_task, &job);
    return PAN_OK;
}
