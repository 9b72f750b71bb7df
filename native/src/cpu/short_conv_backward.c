/* Gradient of the short convolution.
 *
 * The gradient of the input is the same convolution walked from the last position to the first. Those of the parameters
 * are sums over all rows: every chunk of rows sums its own in the workspace, then the chunks are added up in their
 * order. A chunk has at least as many rows as there are taps, so that the workspace is about as large as x at most. */
#include "short_conv.h"
#include "vector_double.h"

/* Rows that are summed in single precision; taps whose sums are held in registers. */
enum { SUM_ROWS = 64, HELD_SUMS = 4 };

typedef struct short_conv_backward_job {
    const pan_short_conv_desc *desc;
    sliding input; /* makes dx; without `out` there is none */
    tile_grid grid;
    int64_t rows;
    int64_t reach; /* taps that meet a position of the sequence */
    int64_t chunk_rows;
    int64_t chunks;
    int64_t task_channels; /* channels of a task that adds up the chunks */
    const float *x;
    const float *dy;
    float *dweight; /* may be NULL, as dbias */
    float *dbias;
    float *partial; /* (chunks, reach + 1, channels): of dweight, the newest tap first, and of dbias */
} short_conv_backward_job;

static short_conv_backward_job plan(const pan_short_conv_desc *desc) {
    short_conv_backward_job job = {.desc = desc, .rows = desc->batch * desc->length};
    job.reach = min_i64(desc->taps, desc->length);
    job.chunk_rows = ceil_div(job.reach, SUM_ROWS) * SUM_ROWS;
    job.chunks = ceil_div(job.rows, job.chunk_rows);
    job.grid = sliding_grid(job.rows, desc->channels, job.chunk_rows);
    job.task_channels = ceil_div(tile_rows((job.reach + 1) * job.chunks), LANES) * LANES;
    return job;
}

/* sum[i] += dy[t] x[t - first_age - i] at the positions of one example, for LANES channels; `dy` and `x` point to its
 * first position. `ages` is a constant. */
PAN_INLINE void correlate(const int ages, const pan_short_conv_desc *desc, const float *x, const float *dy,
                          tile_range positions, int64_t first_age, int64_t lanes, vf *sum) {
    int64_t t = positions.begin < first_age ? first_age : positions.begin;
    for (; t < positions.end && t < first_age + ages - 1; t++) {
        const vf gradient = vf_load_first(dy + t * desc->y_stride, lanes);
        for (int i = 0; i < ages && first_age + i <= t; i++) {
            sum[i] += gradient * vf_load_first(x + (t - first_age - i) * desc->x_stride, lanes);
        }
    }
    for (; t < positions.end; t++) {
        const vf gradient = vf_load_first(dy + t * desc->y_stride, lanes);
        for (int i = 0; i < ages; i++) {
            sum[i] += gradient * vf_load_first(x + (t - first_age - i) * desc->x_stride, lanes);
        }
    }
}

/* What a chunk of rows adds to the gradients of `ages` taps of the channels from c on. */
PAN_INLINE void weight_sums(const int ages, const short_conv_backward_job *job, tile_range rows, int64_t first_age,
                            int64_t c, int64_t lanes, float *partial) {
    const pan_short_conv_desc *desc = job->desc;
    vf total[HELD_SUMS] = {{0}};
    for (int64_t begin = rows.begin; begin < rows.end; begin += SUM_ROWS) {
        const int64_t end = min_i64(rows.end, begin + SUM_ROWS);
        vf sum[HELD_SUMS] = {{0}};
        for (int64_t row = begin; row < end;) {
            const segment part = segment_at(row, end, desc->length);
            const int64_t before = part.example * desc->length;
            correlate(ages, desc, job->x + before * desc->x_stride + c, job->dy + before * desc->y_stride + c,
                      part.positions, first_age, lanes, sum);
            row += segment_rows(&part);
        }
        for (int i = 0; i < ages; i++) {
            total[i] += sum[i];
        }
    }
    for (int i = 0; i < ages; i++) {
        vf_store_first(partial + (first_age + i) * desc->channels + c, total[i], lanes);
    }
}

static void all_weight_sums(const short_conv_backward_job *job, tile_range rows, int64_t c, int64_t lanes,
                            float *partial) {
    for (int64_t age = 0; age < job->reach; age += HELD_SUMS) {
        switch (min_i64(HELD_SUMS, job->reach - age)) {
        case 1: weight_sums(1, job, rows, age, c, lanes, partial); break;
        case 2: weight_sums(2, job, rows, age, c, lanes, partial); break;
        case 3: weight_sums(3, job, rows, age, c, lanes, partial); break;
        default: weight_sums(HELD_SUMS, job, rows, age, c, lanes, partial); break;
        }
    }
}

static void bias_sum(const short_conv_backward_job *job, tile_range rows, int64_t c, int64_t lanes, float *partial) {
    vd sum = {0};
    for (int64_t row = rows.begin; row < rows.end; row++) {
        sum = vd_add(sum, vd_from_vf(vf_load_first(job->dy + row * job->desc->y_stride + c, lanes)));
    }
    vf_store_first(partial + job->reach * job->desc->channels + c, vf_from_vd(sum), lanes);
}

static void rows_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const short_conv_backward_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    if (job->input.out != NULL) {
        slide_block(&job->input, &block);
    }
    for (int64_t begin = block.rows.begin; begin < block.rows.end; begin += job->chunk_rows) {
        const tile_range rows = {begin, min_i64(block.rows.end, begin + job->chunk_rows)};
        float *partial = job->partial + begin / job->chunk_rows * (job->reach + 1) * job->desc->channels;
        for (int64_t c = block.columns.begin; c < block.columns.end; c += LANES) {
            const int64_t lanes = min_i64(LANES, block.columns.end - c);
            if (job->dweight != NULL) {
                all_weight_sums(job, rows, c, lanes, partial);
            }
            if (job->dbias != NULL) {
                bias_sum(job, rows, c, lanes, partial);
            }
        }
    }
}

/* The sum over all chunks for one tap, or for the bias, of LANES channels. */
static vf add_chunks(const short_conv_backward_job *job, int64_t which, int64_t c, int64_t lanes) {
    const int64_t channels = job->desc->channels;
    vd sum = {0};
    for (int64_t chunk = 0; chunk < job->chunks; chunk++) {
        const float *partial = job->partial + (chunk * (job->reach + 1) + which) * channels + c;
        sum = vd_add(sum, vd_from_vf(vf_load_first(partial, lanes)));
    }
    return vf_from_vd(sum);
}

static void parameters_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const short_conv_backward_job *job = context;
    const int64_t taps = job->desc->taps;
    const tile_range channels = tile_at(task, job->task_channels, job->desc->channels);
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c);
        for (int64_t age = 0; age < job->reach && job->dweight != NULL; age++) {
            const vf sum = add_chunks(job, age, c, lanes);
            for (int64_t lane = 0; lane < lanes; lane++) {
                job->dweight[(c + lane + 1) * taps - 1 - age] += sum[lane];
            }
        }
        if (job->dbias != NULL) {
            const vf sum = add_chunks(job, job->reach, c, lanes);
            vf_store_first(job->dbias + c, vf_load_first(job->dbias + c, lanes) + sum, lanes);
        }
    }
}

pan_status PAN_BODY(short_conv_backward_workspace_size)(pan_stream *stream, const pan_short_conv_desc *desc,
                                                        int64_t *bytes) {
    (void) stream;
    const short_conv_backward_job job = plan(desc);
    *bytes = job.chunks * (job.reach + 1) * desc->channels * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(short_conv_backward)(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                         const float *weight, const void *dy, void *dx, float *dweight, float *dbias,
                                         void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    short_conv_backward_job job = plan(desc);
    job.x = x;
    job.dy = dy;
    job.dweight = dweight;
    job.dbias = dbias;
    job.partial = workspace;
    if (dx != NULL) {
        const int64_t last = desc->length - 1;
        job.input = (sliding){.length = desc->length,
                              .taps = desc->taps,
                              .in = job.dy + last * desc->y_stride,
                              .out = (float *) dx + last * desc->x_stride,
                              .in_step = -desc->y_stride,
                              .out_step = -desc->x_stride,
                              .weight = weight};
    }
    pan_pool *pool = stream->device->pool;
    pan_parallel(pool, job.grid.tasks, rows_task, &job);
    if (dweight != NULL || dbias != NULL) {
        pan_parallel(pool, ceil_div(desc->channels, job.task_channels), parameters_task, &job);
    }
    return PAN_OK;
}
