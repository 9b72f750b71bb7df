/* Gradient of the selective scan.
 *
 * From the last chunk to the first, the states of a chunk are computed again from its checkpoint and the gradient is carried
 * backwards through them. The gradients of b and c are sums over channels: each block of channels leaves its own in the
 * workspace, and so does each group of examples with those of the parameters; then both are added up in their order. */
#include "selective_scan.h"

typedef struct backward_job {
    const pan_selective_scan_desc *desc;
    scan_grid grid;
    const float *u;
    const float *delta;
    const float *a_log;
    const float *b;
    const float *c;
    const float *skip; /* may be NULL, as delta_bias, z, dz, dskip and ddelta_bias */
    const float *delta_bias;
    const float *z;
    const float *checkpoints;
    const float *dy;
    float *du;
    float *ddelta;
    float *dz;
    float *da_log;
    float *db;
    float *dc;
    float *dskip;
    float *ddelta_bias;
    float *scratch;    /* of each worker: rates, gradients of rates and of states, (state_size, SCAN_CHANNELS) each */
    float *db_parts;   /* (across, rows, state_size), as dc_parts */
    float *dc_parts;   /* here and above the parts of different blocks of channels */
    float *rate_parts; /* (groups, state_size, channels) */
    float *skip_parts; /* (groups, channels), as bias_parts */
    float *bias_parts;
} backward_job;

static int64_t scratch_floats(const pan_selective_scan_desc *desc) {
    return 3 * desc->state_size * SCAN_CHANNELS;
}

/* What the states need to know of a chunk's positions, and the sums over the states that they add to. */
typedef struct backward_chunk {
    scan_block step;
    scan_block input;    /* step * u */
    scan_block gradient; /* of the output before the gate */
    scan_block output;   /* before the gate */
    scan_block dinput;
    scan_block dstep; /* by way of the decays' exponents, which are powers of two */
} backward_chunk;

/* The sums over channels for the states that are held, vector by vector. */
typedef struct channel_sums {
    vf db[HELD_STATES][PAN_SCAN_CHUNK];
    vf dc[HELD_STATES][PAN_SCAN_CHUNK];
} channel_sums;

static void begin_chunk(const backward_job *job, const scan_chunk *chunk, tile_range channels, backward_chunk *at) {
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
            vf gradient = vf_load_first(job->dy + row * desc->y_stride + c, lanes);
            if (job->z != NULL) {
                gradient *= activate_silu(vf_load_first(job->z + row * desc->z_stride + c, lanes)).value;
            }
            vf_store(&at->step[t][column], step);
            vf_store(&at->input[t][column], step * u);
            vf_store(&at->gradient[t][column], gradient);
            vf_store(&at->output[t][column], skip * u);
            vf_store(&at->dinput[t][column], (vf){0});
            vf_store(&at->dstep[t][column], (vf){0});
        }
    }
}

/* The worker's arrays for one block of channels. */
typedef struct block_states {
    float *rates;
    float *drates; /* of the natural rates */
    float *dstates;
} block_states;

/* Where no later position has a gradient, what is carried back shrinks until it is subnormal, and a decay above a half
 * rounds the smallest such number to itself: it would stay for the rest of the sequence, at a hundred cycles a product. */
static inline vf without_tiny(vf x) {
    return vf_select(vf_abs(x) < 0x1p-120f, (vf){0}, x);
}

/* States n, n + 1, ... of the channels of one vector, over the positions of a chunk; `held` is a constant. `kept` is the
 * chunk's checkpoint, in rows of all channels. */
PAN_INLINE void differentiate(const int held, const backward_job *job, const scan_chunk *chunk, int64_t n,
                              int64_t column, int64_t lanes, const float *kept, const block_states *states,
                              backward_chunk *at, channel_sums *sums) {
    const pan_selective_scan_desc *desc = job->desc;
    const float *b = job->b + chunk->first_row * desc->b_stride + n;
    const float *c = job->c + chunk->first_row * desc->c_stride + n;
    vf decay[PAN_SCAN_CHUNK][HELD_STATES], carried[PAN_SCAN_CHUNK][HELD_STATES];
    vf rate[HELD_STATES], state[HELD_STATES], drate[HELD_STATES];
    for (int i = 0; i < held; i++) {
        rate[i] = vf_load(states->rates + (n + i) * SCAN_CHANNELS + column);
        state[i] = vf_load_first(kept + (n + i) * desc->channels, lanes);
    }
    for (int64_t t = 0; t < chunk->positions; t++, b += desc->b_stride, c += desc->c_stride) {
        const vf step = vf_load(&at->step[t][column]);
        const vf input = vf_load(&at->input[t][column]);
        const vf gradient = vf_load(&at->gradient[t][column]);
        vf output = vf_load(&at->output[t][column]);
        for (int i = 0; i < held; i++) {
            decay[t][i] = decay_by(step * rate[i]);
            carried[t][i] = decay[t][i] * state[i];
            state[i] = carried[t][i] + input * b[i];
            sums->dc[i][t] += gradient * state[i];
            output += state[i] * c[i];
        }
        vf_store(&at->output[t][column], output);
    }
    for (int i = 0; i < held; i++) {
        state[i] = without_tiny(vf_load(states->dstates + (n + i) * SCAN_CHANNELS + column));
        drate[i] = vf_load(states->drates + (n + i) * SCAN_CHANNELS + column);
    }
    for (int64_t t = chunk->positions - 1; t >= 0; t--) {
        b -= desc->b_stride;
        c -= desc->c_stride;
        const vf step = vf_load(&at->step[t][column]);
        const vf input = vf_load(&at->input[t][column]);
        const vf gradient = vf_load(&at->gradient[t][column]);
        vf dinput = vf_load(&at->dinput[t][column]);
        vf dstep = vf_load(&at->dstep[t][column]);
        for (int i = 0; i < held; i++) {
            const vf dstate = state[i] + gradient * c[i];
            const vf dexponent = dstate * carried[t][i];
            sums->db[i][t] += dstate * input;
            dinput += dstate * b[i];
            dstep += dexponent * rate[i];
            drate[i] += dexponent * step;
            state[i] = dstate * decay[t][i];
        }
        vf_store(&at->dinput[t][column], dinput);
        vf_store(&at->dstep[t][column], dstep);
    }
    for (int i = 0; i < held; i++) {
        vf_store(states->dstates + (n + i) * SCAN_CHANNELS + column, state[i]);
        vf_store(states->drates + (n + i) * SCAN_CHANNELS + column, drate[i]);
    }
}

/* Lane i is the sum of all lanes of x[i], by halves. */
static vf sum_each(const vf *x) {
    vf row[LANES];
    memcpy(row, x, sizeof row);
    const vi lane = vi_lane_numbers();
    for (int32_t distance = LANES / 2; distance > 0; distance /= 2) {
        const vi second = ((lane & distance) != 0) & LANES;
        for (int32_t i = 0; i < distance; i++) {
            row[i] = __builtin_shuffle(row[i], row[i + distance], lane + second) +
                     __builtin_shuffle(row[i], row[i + distance], (lane ^ distance) + second);
        }
    }
    return row[0];
}

static void write_sums(const vf *sums, const scan_chunk *chunk, int64_t n, int64_t states, float *parts) {
    for (int64_t t = 0; t < chunk->positions; t += LANES) {
        const vf sum = sum_each(sums + t);
        for (int64_t lane = 0; lane < min_i64(LANES, chunk->positions - t); lane++) {
            parts[(chunk->first_row + t + lane) * states + n] = sum[lane];
        }
    }
}

/* States n, n + 1, ... of a block of channels. */
PAN_INLINE void differentiate_block(const int held, const backward_job *job, const scan_unit *unit,
                                    const scan_chunk *chunk, int64_t n, const block_states *states,
                                    backward_chunk *at) {
    const pan_selective_scan_desc *desc = job->desc;
    const int64_t size = desc->state_size, block = unit->block * desc->batch * desc->length * size;
    const float *kept = job->checkpoints + chunk->checkpoint * size * desc->channels;
    channel_sums sums;
    memset(&sums, 0, sizeof sums);
    for (int64_t c = unit->channels.begin; c < unit->channels.end; c += LANES) {
        differentiate(held, job, chunk, n, c - unit->channels.begin, min_i64(LANES, unit->channels.end - c), kept + c,
                      states, at, &sums);
    }
    for (int i = 0; i < held; i++) {
        write_sums(sums.db[i], chunk, n + i, size, job->db_parts + block);
        write_sums(sums.dc[i], chunk, n + i, size, job->dc_parts + block);
    }
}

/* The gradients at the positions of a chunk; those of skip and bias are added to what the group has so far. */
static void end_chunk(const backward_job *job, const scan_chunk *chunk, tile_range channels, const backward_chunk *at,
                      float *dskip, float *dbias) {
    const pan_selective_scan_desc *desc = job->desc;
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c), column = c - channels.begin;
        const vf skip = job->skip == NULL ? (vf){0} : vf_load_first(job->skip + c, lanes);
        vf skip_sum = {0}, bias_sum = {0};
        for (int64_t t = 0; t < chunk->positions; t++) {
            const int64_t row = chunk->first_row + t;
            const vf u = vf_load_first(job->u + row * desc->u_stride + c, lanes);
            const vf slope = step_of(job->delta + row * desc->delta_stride + c,
                                     job->delta_bias == NULL ? NULL : job->delta_bias + c, lanes)
                                 .slope;
            const vf gradient = vf_load(&at->gradient[t][column]);
            const vf dinput = vf_load(&at->dinput[t][column]);
            const vf ddelta = (vf_load(&at->dstep[t][column]) * PAN_LN_2 + dinput * u) * slope;
            vf_store_first(job->du + row * desc->u_stride + c, dinput * vf_load(&at->step[t][column]) + skip * gradient,
                           lanes);
            vf_store_first(job->ddelta + row * desc->delta_stride + c, ddelta, lanes);
            skip_sum += gradient * u;
            bias_sum += ddelta;
            if (job->z != NULL) {
                const vf slope_of_gate = activate_silu(vf_load_first(job->z + row * desc->z_stride + c, lanes)).slope;
                const vf dy = vf_load_first(job->dy + row * desc->y_stride + c, lanes);
                vf_store_first(job->dz + row * desc->z_stride + c, dy * vf_load(&at->output[t][column]) * slope_of_gate,
                               lanes);
            }
        }
        vf_store_first(dskip + c, vf_load_first(dskip + c, lanes) + skip_sum, lanes);
        vf_store_first(dbias + c, vf_load_first(dbias + c, lanes) + bias_sum, lanes);
    }
}

static void differentiate_example(const backward_job *job, const scan_unit *unit, int64_t example,
                                  const block_states *states) {
    const pan_selective_scan_desc *desc = job->desc;
    float *dskip = job->skip_parts + unit->group * desc->channels;
    float *dbias = job->bias_parts + unit->group * desc->channels;
    memset(states->dstates, 0, (size_t) (desc->state_size * SCAN_CHANNELS) * sizeof *states->dstates);
    backward_chunk at;
    for (int64_t i = pan_scan_chunks(desc->length) - 1; i >= 0; i--) {
        const scan_chunk chunk = scan_chunk_at(desc, example, i);
        begin_chunk(job, &chunk, unit->channels, &at);
        int64_t n = 0;
        for (; n + HELD_STATES <= desc->state_size; n += HELD_STATES) {
            differentiate_block(HELD_STATES, job, unit, &chunk, n, states, &at);
        }
        for (; n < desc->state_size; n++) {
            differentiate_block(1, job, unit, &chunk, n, states, &at);
        }
        end_chunk(job, &chunk, unit->channels, &at, dskip, dbias);
    }
}

static void differentiate_unit(const backward_job *job, const scan_unit *unit, const block_states *states) {
    const pan_selective_scan_desc *desc = job->desc;
    const tile_range channels = unit->channels;
    const size_t bytes = (size_t) (channels.end - channels.begin) * sizeof(float);
    take_rates(desc, job->a_log, channels, states->rates);
    memset(states->drates, 0, (size_t) (desc->state_size * SCAN_CHANNELS) * sizeof *states->drates);
    memset(job->skip_parts + unit->group * desc->channels + channels.begin, 0, bytes);
    memset(job->bias_parts + unit->group * desc->channels + channels.begin, 0, bytes);
    for (int64_t example = unit->examples.begin; example < unit->examples.end; example++) {
        differentiate_example(job, unit, example, states);
    }
    for (int64_t n = 0; n < desc->state_size; n++) {
        memcpy(job->rate_parts + (unit->group * desc->state_size + n) * desc->channels + channels.begin,
               states->drates + n * SCAN_CHANNELS, bytes);
    }
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const int64_t size = job->desc->state_size * SCAN_CHANNELS;
    float *own = job->scratch + worker * scratch_floats(job->desc);
    const block_states states = {own, own + size, own + 2 * size};
    const tile_range units = tile_at(task, job->grid.task_units, job->grid.groups * job->grid.across);
    for (int64_t i = units.begin; i < units.end; i++) {
        const scan_unit unit = scan_unit_at(&job->grid, job->desc, i);
        differentiate_unit(job, &unit, &states);
    }
}

/* to[n] = the sum of all blocks' parts of a row. */
static void add_blocks(const backward_job *job, const float *parts, int64_t row, float *to) {
    const int64_t size = job->desc->state_size, rows = job->desc->batch * job->desc->length;
    for (int64_t n = 0; n < size; n += LANES) {
        const int64_t lanes = min_i64(LANES, size - n);
        vf sum = {0};
        for (int64_t block = 0; block < job->grid.across; block++) {
            sum += vf_load_first(parts + (block * rows + row) * size + n, lanes);
        }
        vf_store_first(to + n, sum, lanes);
    }
}

static int64_t sum_rows(const backward_job *job) {
    return tile_rows(2 * job->grid.across * job->desc->state_size);
}

static void rows_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const backward_job *job = context;
    const tile_range rows = tile_at(task, sum_rows(job), job->desc->batch * job->desc->length);
    for (int64_t row = rows.begin; row < rows.end; row++) {
        add_blocks(job, job->db_parts, row, job->db + row * job->desc->b_stride);
        add_blocks(job, job->dc_parts, row, job->dc + row * job->desc->c_stride);
    }
}

/* The sum of all groups' parts, which lie `stride` apart. */
static vf add_groups(const backward_job *job, const float *parts, int64_t stride, int64_t lanes) {
    vd sum = {0};
    for (int64_t group = 0; group < job->grid.groups; group++) {
        sum = vd_add(sum, vd_from_vf(vf_load_first(parts + group * stride, lanes)));
    }
    return vf_from_vd(sum);
}

static void add_channels(const backward_job *job, const float *parts, int64_t c, int64_t lanes, float *to) {
    if (to != NULL) {
        const vf sum = add_groups(job, parts + c, job->desc->channels, lanes);
        vf_store_first(to + c, vf_load_first(to + c, lanes) + sum, lanes);
    }
}

static void add_rates(const backward_job *job, int64_t c, int64_t lanes) {
    const int64_t channels = job->desc->channels, size = job->desc->state_size;
    for (int64_t n = 0; n < size; n++) {
        const vf sum = add_groups(job, job->rate_parts + n * channels + c, size * channels, lanes);
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int64_t at = (c + lane) * size + n;
            job->da_log[at] -= sum[lane] * expf(job->a_log[at]);
        }
    }
}

static int64_t sum_channels(const backward_job *job) {
    return ceil_div(tile_rows((job->desc->state_size + 2) * job->grid.groups), LANES) * LANES;
}

static void parameters_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const backward_job *job = context;
    const tile_range channels = tile_at(task, sum_channels(job), job->desc->channels);
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c);
        add_rates(job, c, lanes);
        add_channels(job, job->skip_parts, c, lanes, job->dskip);
        add_channels(job, job->bias_parts, c, lanes, job->ddelta_bias);
    }
}

/* Floats of db_parts, as of dc_parts, and of bias_parts, as of skip_parts. */
static int64_t row_parts(const backward_job *job) {
    return job->grid.across * job->desc->batch * job->desc->length * job->desc->state_size;
}

static int64_t channel_parts(const backward_job *job) {
    return job->grid.groups * job->desc->channels;
}

static void lay_out(backward_job *job, int32_t threads, float *workspace) {
    job->scratch = workspace;
    job->db_parts = job->scratch + threads * scratch_floats(job->desc);
    job->dc_parts = job->db_parts + row_parts(job);
    job->rate_parts = job->dc_parts + row_parts(job);
    job->skip_parts = job->rate_parts + channel_parts(job) * job->desc->state_size;
    job->bias_parts = job->skip_parts + channel_parts(job);
}

pan_status PAN_BODY(selective_scan_backward_workspace_size)(pan_stream *stream, const pan_selective_scan_desc *desc,
                                                            int64_t *bytes) {
    const backward_job job = {.desc = desc, .grid = scan_grid_of(desc)};
    const int64_t parts = 2 * row_parts(&job) + (desc->state_size + 2) * channel_parts(&job);
    *bytes = (pan_pool_threads(stream->device->pool) * scratch_floats(desc) + parts) * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(selective_scan_backward)(pan_stream *stream, const pan_selective_scan_desc *desc, const void *u,
                                             const void *delta, const float *a_log, const void *b, const void *c,
                                             const float *skip, const float *delta_bias, const void *z,
                                             const float *checkpoints, const void *dy, void *du, void *ddelta,
                                             float *da_log, void *db, void *dc, float *dskip, float *ddelta_bias,
                                             void *dz, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    backward_job job = {.desc = desc,
                        .grid = scan_grid_of(desc),
                        .u = u,
                        .delta = delta,
                        .a_log = a_log,
                        .b = b,
                        .c = c,
                        .skip = skip,
                        .delta_bias = delta_bias,
                        .z = z,
                        .checkpoints = checkpoints,
                        .dy = dy,
                        .du = du,
                        .ddelta = ddelta,
                        .dz = dz,
                        .da_log = da_log,
                        .db = db,
                        .dc = dc,
                        .dskip = dskip,
                        .ddelta_bias = ddelta_bias};
    pan_pool *pool = stream->device->pool;
    lay_out(&job, pan_pool_threads(pool), workspace);
    pan_parallel(pool, job.grid.tasks, backward_task, &job);
    pan_parallel(pool, ceil_div(desc->batch * desc->length, sum_rows(&job)), rows_task, &job);
    pan_parallel(pool, ceil_div(desc->channels, sum_channels(&job)), parameters_task, &job);
    return PAN_OK;
}
