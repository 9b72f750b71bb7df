/* Cumulative sums along the middle dimension of (outer, count, inner): a task has some columns of inner, or some rows where
 * there is one column, and goes through their entries in order. */
#include "tile.h"
#include "vector_double.h"

enum { SUM_COLUMNS = 32 };

typedef struct sum_job {
    const pan_cumulative_sum_desc *desc;
    tile_grid grid; /* outer, inner */
    const float *x;
    float *y;
} sum_job;

/* Where the entries begin, and the elements from one to the next. */
typedef struct path {
    int64_t first;
    int64_t step;
} path;

static path path_of(const pan_cumulative_sum_desc *desc, int64_t outer) {
    const int64_t begin = outer * desc->count * desc->inner;
    return desc->reverse ? (path){begin + (desc->count - 1) * desc->inner, -desc->inner} : (path){begin, desc->inner};
}

static void sum_row(const sum_job *job, path path) {
    double sum = 0.0;
    for (int64_t k = 0; k < job->desc->count; k++) {
        const int64_t at = path.first + k * path.step;
        sum += job->x[at];
        job->y[at] = (float) sum;
    }
}

static void sum_columns(const sum_job *job, path path, tile_range columns) {
    vd sum[SUM_COLUMNS / LANES] = {0};
    for (int64_t k = 0; k < job->desc->count; k++) {
        const int64_t at = path.first + k * path.step;
        for (int64_t c = columns.begin; c < columns.end; c += LANES) {
            const int64_t lanes = columns.end - c;
            vd *part = &sum[(c - columns.begin) / LANES];
            *part = vd_add(*part, vd_from_vf(vf_load_first(job->x + at + c, lanes)));
            vf_store_first(job->y + at + c, vf_from_vd(*part), lanes);
        }
    }
}

static void sum_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const sum_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t outer = block.rows.begin; outer < block.rows.end; outer++) {
        if (job->desc->inner == 1) {
            sum_row(job, path_of(job->desc, outer));
        } else {
            sum_columns(job, path_of(job->desc, outer), block.columns);
        }
    }
}

pan_status PAN_BODY(cumulative_sum)(pan_stream *stream, const pan_cumulative_sum_desc *desc, const void *x, void *y) {
    sum_job job = {.desc = desc,
                   .grid = {.rows = desc->outer,
                            .columns = desc->inner,
                            .block_rows = tile_rows(desc->count * min_i64(desc->inner, SUM_COLUMNS)),
                            .block_columns = min_i64(desc->inner, SUM_COLUMNS),
                            .across = ceil_div(desc->inner, SUM_COLUMNS)},
                   .x = x,
                   .y = y};
    job.grid.tasks = job.grid.across * ceil_div(desc->outer, job.grid.block_rows);
    pan_parallel(stream->device->pool, job.grid.tasks, sum_task, &job);
    return PAN_OK;
}
