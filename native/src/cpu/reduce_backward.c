/* Gradient of reductions: what was summed gets the gradient of the sum. */
#include "tile.h"
#include "vector.h"

/* x as rows that are contiguous: (outer, count) with one gradient a row if inner is 1, else (outer * count, inner). */
typedef struct reduce_backward_job {
    const pan_reduce_desc *desc;
    tile_grid grid;
    float divisor;
    const float *x; /* NULL unless the derivative depends on it */
    const float *dy;
    float *dx;
} reduce_backward_job;

/* Derivative of what x adds to the sum. */
static inline vf term_slope(pan_reduction kind, vf x) {
    if (kind == PAN_REDUCE_SUM_OF_SQUARES) {
        return x * 2.0f;
    }
    return vf_select(x > 0.0f, vf_splat(1.0f), vf_select(x < 0.0f, vf_splat(-1.0f), x));
}

static void backward_row(const reduce_backward_job *job, int64_t row, tile_range columns) {
    const bool one_gradient = job->desc->inner == 1;
    const float *dy = one_gradient ? job->dy + row : job->dy + row / job->desc->count * job->desc->inner;
    const int64_t first = row * job->grid.columns;
    for (int64_t c = columns.begin; c < columns.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns.end - c);
        vf gradient = (one_gradient ? vf_splat(*dy) : vf_load_first(dy + c, lanes)) / job->divisor;
        if (job->x != NULL) {
            gradient *= term_slope(job->desc->kind, vf_load_first(job->x + first + c, lanes));
        }
        vf_store_first(job->dx + first + c, gradient, lanes);
    }
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const reduce_backward_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t row = block.rows.begin; row < block.rows.end; row++) {
        backward_row(job, row, block.columns);
    }
}

pan_status PAN_BODY(reduce_backward)(pan_stream *stream, const pan_reduce_desc *desc, const void *x, const void *dy,
                                     void *dx) {
    reduce_backward_job job = {
        .desc = desc,
        .grid = desc->inner == 1 ? tile_grid_of(desc->outer, desc->count)
                                 : tile_grid_of(desc->outer * desc->count, desc->inner),
        .divisor = desc->kind == PAN_REDUCE_MEAN ? (float) desc->count : 1.0f,
        .x = desc->kind == PAN_REDUCE_SUM || desc->kind == PAN_REDUCE_MEAN ? NULL : x,
        .dy = dy,
        .dx = dx,
    };
    pan_parallel(stream->device->pool, job.grid.tasks, backward_task, &job);
    return PAN_OK;
}
