/* Lower triangular systems of equations, by substitution: a task has some columns of some matrices and goes through their
 * rows in order. SOLVE_ROWS rows at a time take what the rows before them add, which are read once for all of them. */
#include "product.h"
#include "vector.h"

enum { SOLVE_ROWS = 4, SOLVE_VECTORS = PAN_VECTOR_BYTES == 64 ? 4 : 2, SOLVE_COLUMNS = SOLVE_VECTORS * LANES };

typedef struct solve_job {
    const pan_triangular_solve_desc *desc;
    int64_t across;     /* tiles of columns of a matrix */
    int64_t task_tiles; /* of one matrix or of several */
    const float *a;
    const float *b; /* right-hand sides: b, or dx */
    float *x;       /* solutions: x, or db */
} solve_job;

/* A system as the solver goes through it: unknown s of a transposed one is the s-th from the end. */
typedef struct solve_system {
    bool transposed;
    int64_t size;
    int64_t columns;
    int64_t width; /* of the tile's columns */
    const float *a;
    const float *b;
    float *x;
} solve_system;

PAN_INLINE int64_t row_of(const solve_system *system, int64_t unknown) {
    return system->transposed ? system->size - 1 - unknown : unknown;
}

PAN_INLINE float coefficient(const solve_system *system, int64_t equation, int64_t unknown) {
    const int64_t row = row_of(system, equation), column = row_of(system, unknown);
    return system->transposed ? system->a[column * system->size + row] : system->a[row * system->size + column];
}

PAN_INLINE void load_row(vf *row, const solve_system *system, const float *rows, int64_t unknown) {
    const float *from = rows + row_of(system, unknown) * system->columns;
    for (int v = 0; v < SOLVE_VECTORS; v++) {
        const int64_t left = system->width - v * LANES;
        row[v] = left > 0 ? vf_load_first(from + v * LANES, left) : vf_splat(0.0f);
    }
}

PAN_INLINE void store_row(const vf *row, const solve_system *system, int64_t unknown) {
    float *to = system->x + row_of(system, unknown) * system->columns;
    for (int v = 0; v < SOLVE_VECTORS && v * LANES < system->width; v++) {
        vf_store_first(to + v * LANES, row[v], system->width - v * LANES);
    }
}

/* Unknowns [first, first + count), count <= SOLVE_ROWS. */
PAN_INLINE void solve_rows(const solve_system *system, int64_t first, int count) {
    vf sum[SOLVE_ROWS][SOLVE_VECTORS] = {0};
    for (int64_t before = 0; before < first; before++) {
        vf x[SOLVE_VECTORS];
        load_row(x, system, system->x, before);
        for (int r = 0; r < count; r++) {
            const float factor = coefficient(system, first + r, before);
            for (int v = 0; v < SOLVE_VECTORS; v++) {
                sum[r][v] += x[v] * factor;
            }
        }
    }
    vf solved[SOLVE_ROWS][SOLVE_VECTORS];
    for (int r = 0; r < count; r++) {
        for (int before = 0; before < r; before++) {
            const float factor = coefficient(system, first + r, first + before);
            for (int v = 0; v < SOLVE_VECTORS; v++) {
                sum[r][v] += solved[before][v] * factor;
            }
        }
        load_row(solved[r], system, system->b, first + r);
        const float diagonal = coefficient(system, first + r, first + r);
        for (int v = 0; v < SOLVE_VECTORS; v++) {
            solved[r][v] = (solved[r][v] - sum[r][v]) / diagonal;
        }
        store_row(solved[r], system, first + r);
    }
}

PAN_INLINE void solve_tiles(const solve_job *job, int64_t task, bool transposed) {
    const pan_triangular_solve_desc *desc = job->desc;
    const tile_range tiles = tile_at(task, job->task_tiles, desc->batch * job->across);
    for (int64_t tile = tiles.begin; tile < tiles.end; tile++) {
        const int64_t batch = tile / job->across, column = tile % job->across * SOLVE_COLUMNS;
        const int64_t offset = batch * desc->size * desc->columns + column;
        const solve_system system = {.transposed = transposed,
                                     .size = desc->size,
                                     .columns = desc->columns,
                                     .width = min_i64(SOLVE_COLUMNS, desc->columns - column),
                                     .a = job->a + batch * desc->size * desc->size,
                                     .b = job->b + offset,
                                     .x = job->x + offset};
        int64_t first = 0;
        for (; first + SOLVE_ROWS <= desc->size; first += SOLVE_ROWS) {
            solve_rows(&system, first, SOLVE_ROWS);
        }
        if (first < desc->size) {
            solve_rows(&system, first, (int) (desc->size - first));
        }
    }
}

static void solve_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    solve_tiles(context, task, false);
}

static void solve_transposed_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    solve_tiles(context, task, true);
}

static void solve(pan_stream *stream, solve_job job, pan_task *task) {
    job.across = ceil_div(job.desc->columns, SOLVE_COLUMNS);
    const double flops = (double) job.desc->size * (double) job.desc->size * SOLVE_COLUMNS;
    job.task_tiles = flops < TASK_FLOPS ? (int64_t) (TASK_FLOPS / flops) : 1;
    pan_parallel(stream->device->pool, ceil_div(job.desc->batch * job.across, job.task_tiles), task, &job);
}

/* ---- da ---- */

enum { GRADIENT_ROWS = 64 };

typedef struct gradient_job {
    const pan_triangular_solve_desc *desc;
    int64_t blocks; /* of rows of a matrix */
    int64_t task_blocks;
    const float *x;
    const float *db;
    float *da;
} gradient_job;

static void gradient_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const gradient_job *job = context;
    const int64_t size = job->desc->size, columns = job->desc->columns;
    const tile_range blocks = tile_at(task, job->task_blocks, job->desc->batch * job->blocks);
    for (int64_t block = blocks.begin; block < blocks.end; block++) {
        const int64_t batch = block / job->blocks;
        const tile_range rows = tile_at(block % job->blocks, GRADIENT_ROWS, size);
        float *da = job->da + batch * size * size;
        pan_gemm(false, true, rows.end - rows.begin, rows.end, columns, -1.0f,
                 job->db + (batch * size + rows.begin) * columns, columns, job->x + batch * size * columns, columns,
                 0.0f, da + rows.begin * size, size);
        for (int64_t i = rows.begin; i < rows.end; i++) {
            memset(da + i * size + i + 1, 0, (size_t) (size - i - 1) * sizeof *da);
        }
    }
}

pan_status PAN_BODY(triangular_solve_forward)(pan_stream *stream, const pan_triangular_solve_desc *desc, const void *a,
                                              const void *b, void *x) {
    solve(stream, (solve_job){.desc = desc, .a = a, .b = b, .x = x}, solve_task);
    return PAN_OK;
}

pan_status PAN_BODY(triangular_solve_backward)(pan_stream *stream, const pan_triangular_solve_desc *desc, const void *a,
                                               const void *x, const void *dx, void *da, void *db) {
    solve(stream, (solve_job){.desc = desc, .a = a, .b = dx, .x = db}, solve_transposed_task);
    gradient_job job = {.desc = desc, .blocks = ceil_div(desc->size, GRADIENT_ROWS), .x = x, .db = db, .da = da};
    const double flops = (double) min_i64(desc->size, GRADIENT_ROWS) * (double) desc->size * (double) desc->columns;
    job.task_blocks = flops < TASK_FLOPS ? (int64_t) (TASK_FLOPS / flops) : 1;
    pan_parallel(stream->device->pool, ceil_div(desc->batch * job.blocks, job.task_blocks), gradient_task, &job);
    return PAN_OK;
}
