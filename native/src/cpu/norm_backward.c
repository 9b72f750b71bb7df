/* Gradient of layer and RMS normalisation.
 *
 * Parameter gradients are sums over rows: every block of BLOCK_ROWS rows sums its own in the workspace, then the blocks
 * are added up in their order. */
#include "tile.h"
#include "vector_math.h"

enum { BLOCK_ROWS = 64 };

typedef struct norm_backward_job {
    const pan_norm_desc *desc;
    int64_t blocks;
    int64_t task_blocks;   /* blocks of a task that goes over the rows */
    int64_t task_channels; /* channels of a task that adds up the blocks */
    const float *sum;
    const float *weight;
    const float *mean; /* NULL for RMS */
    const float *rstd;
    const float *dsum; /* may be NULL, as dx, dweight, dbias */
    const float *dy;
    float *dx;
    float *dweight;
    float *dbias;
    float *partial; /* (blocks, 2, channels): of dweight, of dbias */
} norm_backward_job;

typedef struct row_means {
    float g;  /* of dy * weight; 0 for RMS */
    float gn; /* of dy * weight * n */
} row_means;

static inline vf normalised(vf x, float mean, float rstd) {
    return (x - mean) * rstd;
}

/* What the row adds to the parameter gradients goes to `dweight` and `dbias`. */
static row_means gather_row(const norm_backward_job *job, int64_t row, float *dweight, float *dbias) {
    const int64_t channels = job->desc->channels;
    const float *x = job->sum + row * job->desc->stride;
    const float *dy = job->dy + row * job->desc->stride;
    const float mean = job->mean == NULL ? 0.0f : job->mean[row];
    const float rstd = job->rstd[row];
    vd g_sum = {0};
    vd gn_sum = {0};
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels - c);
        const vf gradient = vf_load_first(dy + c, lanes);
        const vf n = normalised(vf_load_first(x + c, lanes), mean, rstd);
        const vd g = vd_from_vf(gradient * vf_load_first(job->weight + c, lanes));
        g_sum = vd_add(g_sum, g);
        gn_sum = vd_multiply_add(g, vd_from_vf(n), gn_sum);
        vf_store_first(dweight + c, vf_load_first(dweight + c, lanes) + gradient * n, lanes);
        vf_store_first(dbias + c, vf_load_first(dbias + c, lanes) + gradient, lanes);
    }
    return (row_means){job->mean == NULL ? 0.0f : (float) (vd_sum(g_sum) / (double) channels),
                       (float) (vd_sum(gn_sum) / (double) channels)};
}

static void input_gradient(const norm_backward_job *job, int64_t row, row_means means) {
    const int64_t channels = job->desc->channels;
    const int64_t first = row * job->desc->stride;
    const float mean = job->mean == NULL ? 0.0f : job->mean[row];
    const float rstd = job->rstd[row];
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels - c);
        const vf g = vf_load_first(job->dy + first + c, lanes) * vf_load_first(job->weight + c, lanes);
        const vf n = normalised(vf_load_first(job->sum + first + c, lanes), mean, rstd);
        vf dx = (g - means.g - n * means.gn) * rstd;
        if (job->dsum != NULL) {
            dx += vf_load_first(job->dsum + first + c, lanes);
        }
        vf_store_first(job->dx + first + c, dx, lanes);
    }
}

static void rows_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const norm_backward_job *job = context;
    const int64_t channels = job->desc->channels;
    const tile_range blocks = tile_at(task, job->task_blocks, job->blocks);
    for (int64_t block = blocks.begin; block < blocks.end; block++) {
        float *dweight = job->partial + block * 2 * channels;
        float *dbias = dweight + channels;
        memset(dweight, 0, (size_t) (2 * channels) * sizeof *dweight);
        const tile_range rows = tile_at(block, BLOCK_ROWS, job->desc->rows);
        for (int64_t row = rows.begin; row < rows.end; row++) {
            const row_means means = gather_row(job, row, dweight, dbias);
            if (job->dx != NULL) {
                input_gradient(job, row, means);
            }
        }
    }
}

/* Adds the sums of one of the two gradients to `gradient` for the channels of a task. */
static void add_blocks(const norm_backward_job *job, int which, tile_range channels, float *gradient) {
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c);
        vd sum = {0};
        for (int64_t block = 0; block < job->blocks; block++) {
            const float *partial = job->partial + (block * 2 + which) * job->desc->channels;
            sum = vd_add(sum, vd_from_vf(vf_load_first(partial + c, lanes)));
        }
        vf_store_first(gradient + c, vf_load_first(gradient + c, lanes) + vf_from_vd(sum), lanes);
    }
}

static void parameters_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const norm_backward_job *job = context;
    const tile_range channels = tile_at(task, job->task_channels, job->desc->channels);
    if (job->dweight != NULL) {
        add_blocks(job, 0, channels, job->dweight);
    }
    if (job->dbias != NULL) {
        add_blocks(job, 1, channels, job->dbias);
    }
}

pan_status PAN_BODY(norm_backward_workspace_size)(pan_stream *stream, const pan_norm_desc *desc, int64_t *bytes) {
    (void) stream;
    *bytes = ceil_div(desc->rows, BLOCK_ROWS) * 2 * desc->channels * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(norm_backward)(pan_stream *stream, const pan_norm_desc *desc, const void *sum, const float *weight,
                                   const float *mean, const float *rstd, const void *dsum, const void *dy, void *dx,
                                   float *dweight, float *dbias, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    const int64_t blocks = ceil_div(desc->rows, BLOCK_ROWS);
    norm_backward_job job = {.desc = desc,
                             .blocks = blocks,
                             .task_blocks = ceil_div(tile_rows(desc->channels), BLOCK_ROWS),
                             .task_channels = ceil_div(tile_rows(2 * blocks), LANES) * LANES,
                             .sum = sum,
                             .weight = weight,
                             .mean = mean,
                             .rstd = rstd,
                             .dsum = dsum,
                             .dy = dy,
                             .dx = dx,
                             .dweight = dweight,
                             .dbias = dbias,
                             .partial = workspace};
    pan_pool *pool = stream->device->pool;
    pan_parallel(pool, ceil_div(job.blocks, job.task_blocks), rows_task, &job);
    if (dweight != NULL || dbias != NULL) {
        pan_parallel(pool, ceil_div(desc->channels, job.task_channels), parameters_task, &job);
    }
    return PAN_OK;
}
