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

/* The maximum of contiguous elements, and where it first is. */
static void row_maximum_gradient(const float *x, float dy, float *dx, int64_t count) {
    vf largest = vf_splat(*x);
    for (int64_t i = 0; i < count; i += LANES) {
        const vf next = count - i < LANES ? vf_load_part(x + i, count - i, *x) : vf_load(x + i);
        largest = vf_select((next > largest) | (next != next), next, largest);
    }
    const float maximum = vf_largest(largest);
    int64_t first = 0;
    while (x[first] != maximum && x[first] == x[first]) {
        first++;
    }
    memset(dx, 0, (size_t) count * sizeof *dx);
    dx[first] = dy;
}

enum { MAXIMUM_COLUMNS = 64 };

/* Columns [columns) of an outer index: the maxima, then the first entries that are they. */
static void columns_maximum_gradient(const pan_reduce_desc *desc, const float *x, const float *dy, float *dx,
                                     tile_range columns) {
    vf largest[MAXIMUM_COLUMNS / LANES];
    vi given[MAXIMUM_COLUMNS / LANES] = {0};
    for (int64_t k = 0; k < desc->count; k++) {
        for (int64_t c = columns.begin; c < columns.end; c += LANES) {
            vf *best = &largest[(c - columns.begin) / LANES];
            const vf next = vf_load_first(x + k * desc->inner + c, columns.end - c);
            *best = k == 0 ? next : vf_select((next > *best) | (next != next), next, *best);
        }
    }
    for (int64_t k = 0; k < desc->count; k++) {
        for (int64_t c = columns.begin; c < columns.end; c += LANES) {
            const int64_t block = (c - columns.begin) / LANES, lanes = columns.end - c;
            const vf next = vf_load_first(x + k * desc->inner + c, lanes);
            const vi is_it = ((next == largest[block]) | (next != next)) & ~given[block];
            given[block] |= is_it;
            vf_store_first(dx + k * desc->inner + c, (vf) (is_it & (vi) vf_load_first(dy + c, lanes)), lanes);
        }
    }
}

static void maximum_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const reduce_backward_job *job = context;
    const pan_reduce_desc *desc = job->desc;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t o = block.rows.begin; o < block.rows.end; o++) {
        const float *x = job->x + o * desc->count * desc->inner, *dy = job->dy + o * desc->inner;
        float *dx = job->dx + o * desc->count * desc->inner;
        if (desc->inner == 1) {
            row_maximum_gradient(x, *dy, dx, desc->count);
        } else {
            columns_maximum_gradient(desc, x, dy, dx, block.columns);
        }
    }
}

/* Blocks of results. */
static tile_grid maximum_grid(const pan_reduce_desc *desc) {
    tile_grid grid = {.rows = desc->outer,
                      .columns = desc->inner,
                      .block_rows = tile_rows(desc->count * min_i64(desc->inner, MAXIMUM_COLUMNS)),
                      .block_columns = min_i64(desc->inner, MAXIMUM_COLUMNS)};
    grid.across = ceil_div(grid.columns, grid.block_columns);
    grid.tasks = grid.across * ceil_div(grid.rows, grid.block_rows);
    return grid;
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
    if (desc->kind == PAN_REDUCE_MAX) {
        job.grid = maximum_grid(desc);
    }
    pan_parallel(stream->device->pool, job.grid.tasks, desc->kind == PAN_REDUCE_MAX ? maximum_task : backward_task,
                 &job);
    return PAN_OK;
}
