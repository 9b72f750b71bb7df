/* Mixing every position with the one before it.
 *
 * The gradient of the mix is a sum over rows: every chunk of CHUNK_ROWS rows sums its own in the workspace, in double, then
 * the chunks are added up in their order. */
#include "tile.h"
#include "vector_double.h"

enum { CHUNK_ROWS = 64 };

typedef struct shift_job {
    const pan_token_shift_desc *desc;
    tile_grid grid; /* rows, channels */
    const float *x;
    const float *mix;
    const float *previous; /* may be NULL */
    const float *dy;
    float *out; /* y, or dx */
    float *dmix;
    int64_t chunks;
    double *partial; /* (chunks, channels): of dmix */
} shift_job;

/* mix x + (1 - mix) neighbour; without a neighbour the first term. */
static void mix_row(const float *mix, const float *x, const float *neighbour, float *y, tile_range columns) {
    for (int64_t c = columns.begin; c < columns.end; c += LANES) {
        const int64_t lanes = columns.end - c;
        const vf share = vf_load_first(mix + c, lanes);
        vf sum = share * vf_load_first(x + c, lanes);
        if (neighbour != NULL) {
            sum += (1.0f - share) * vf_load_first(neighbour + c, lanes);
        }
        vf_store_first(y + c, sum, lanes);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const shift_job *job = context;
    const int64_t length = job->desc->length, channels = job->desc->channels;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t row = block.rows.begin; row < block.rows.end; row++) {
        const float *before = job->x + (row - 1) * channels;
        if (row % length == 0) {
            before = job->previous == NULL ? NULL : job->previous + row / length * channels;
        }
        mix_row(job->mix, job->x + row * channels, before, job->out + row * channels, block.columns);
    }
}

pan_status PAN_BODY(token_shift_forward)(pan_stream *stream, const pan_token_shift_desc *desc, const void *x,
                                         const float *mix, const void *previous, void *y) {
    shift_job job = {.desc = desc,
                     .grid = tile_grid_of(desc->batch * desc->length, desc->channels),
                     .x = x,
                     .mix = mix,
                     .previous = previous,
                     .out = y};
    pan_parallel(stream->device->pool, job.grid.tasks, forward_task, &job);
    return PAN_OK;
}

static void input_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const shift_job *job = context;
    const int64_t length = job->desc->length, channels = job->desc->channels;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t row = block.rows.begin; row < block.rows.end; row++) {
        const float *dy = job->dy + row * channels;
        mix_row(job->mix, dy, row % length == length - 1 ? NULL : dy + channels, job->out + row * channels,
                block.columns);
    }
}

/* What the rows of a chunk add to the gradient of LANES channels from c on. */
static vd chunk_sum(const shift_job *job, tile_range rows, int64_t c, int64_t lanes) {
    const int64_t length = job->desc->length, channels = job->desc->channels;
    vd sum = {0};
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const float *x = job->x + row * channels + c;
        vf difference = vf_load_first(x, lanes);
        if (row % length != 0) {
            difference -= vf_load_first(x - channels, lanes);
        }
        sum = vd_multiply_add(vd_from_vf(difference), vd_from_vf(vf_load_first(job->dy + row * channels + c, lanes)),
                              sum);
    }
    return sum;
}

static void chunk_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const shift_job *job = context;
    const int64_t channels = job->desc->channels;
    const tile_range chunks = tile_at(task, ceil_div(tile_rows(channels), CHUNK_ROWS), job->chunks);
    for (int64_t chunk = chunks.begin; chunk < chunks.end; chunk++) {
        const tile_range rows = tile_at(chunk, CHUNK_ROWS, job->desc->batch * job->desc->length);
        for (int64_t c = 0; c < channels; c += LANES) {
            const vd sum = chunk_sum(job, rows, c, channels - c);
            memcpy(job->partial + chunk * channels + c, &sum, (size_t) min_i64(LANES, channels - c) * sizeof(double));
        }
    }
}

/* The sums of the first chunk become those of all. */
static void add_chunks(const shift_job *job) {
    const int64_t channels = job->desc->channels;
    for (int64_t chunk = 1; chunk < job->chunks; chunk++) {
        for (int64_t c = 0; c < channels; c++) {
            job->partial[c] += job->partial[chunk * channels + c];
        }
    }
    for (int64_t c = 0; c < channels; c++) {
        job->dmix[c] = (float) (job->dmix[c] + job->partial[c]);
    }
}

pan_status PAN_BODY(token_shift_backward_workspace_size)(pan_stream *stream, const pan_token_shift_desc *desc,
                                                         int64_t *bytes) {
    (void) stream;
    *bytes = ceil_div(desc->batch * desc->length, CHUNK_ROWS) * desc->channels * (int64_t) sizeof(double);
    return PAN_OK;
}

pan_status PAN_BODY(token_shift_backward)(pan_stream *stream, const pan_token_shift_desc *desc, const void *x,
                                          const float *mix, const void *dy, void *dx, float *dmix, void *workspace,
                                          int64_t workspace_bytes) {
    (void) workspace_bytes;
    shift_job job = {.desc = desc,
                     .grid = tile_grid_of(desc->batch * desc->length, desc->channels),
                     .x = x,
                     .mix = mix,
                     .dy = dy,
                     .out = dx,
                     .dmix = dmix,
                     .chunks = ceil_div(desc->batch * desc->length, CHUNK_ROWS),
                     .partial = workspace};
    pan_pool *pool = stream->device->pool;
    if (dx != NULL) {
        pan_parallel(pool, job.grid.tasks, input_task, &job);
    }
    if (dmix != NULL) {
        pan_parallel(pool, ceil_div(job.chunks, ceil_div(tile_rows(desc->channels), CHUNK_ROWS)), chunk_task, &job);
        add_chunks(&job);
    }
    return PAN_OK;
}
