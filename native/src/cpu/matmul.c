/* Batched matrix product: blocks of the products, each computed by one GEMM call.
 *
 * Where there are few blocks and long sums, the sums are cut into chunks, whose partial results go to the workspace and
 * are added in their order. */
#include "product.h"
#include "vector.h"

/* How finely sums are cut, and what partial results may take of memory. */
enum { CHUNK_TASKS = 32, PARTIAL_FLOATS = 2 << 20 };

typedef struct matmul_job {
    pan_matmul_desc desc;
    tile_grid grid; /* blocks of a matrix */
    int64_t chunk;  /* terms of a sum that a unit adds up */
    int64_t chunks;
    int64_t units; /* a matrix, a block of it and a chunk */
    int64_t task_units;
    const float *a;
    const float *b;
    float *y;
    float *partial; /* (chunks, batch, m, n); NULL with a single chunk */
} matmul_job;

static matmul_job plan(const pan_matmul_desc *desc) {
    matmul_job job = {.desc = *desc, .grid = product_grid(desc->m, desc->n, desc->k)};
    const double block_flops = 2.0 * (double) job.grid.block_rows * (double) job.grid.block_columns * (double) desc->k;
    /* In floating point, because a workspace query may come with sizes that no array can have. */
    const double blocks = (double) desc->batch * (double) job.grid.tasks;
    const double results = (double) desc->batch * (double) desc->m * (double) desc->n;
    double chunks = CHUNK_TASKS / blocks;
    chunks = chunks < block_flops / TASK_FLOPS ? chunks : block_flops / TASK_FLOPS;
    chunks = chunks < PARTIAL_FLOATS / results ? chunks : PARTIAL_FLOATS / results;
    job.chunk = ceil_div(desc->k, chunks > 1.0 ? (int64_t) chunks : 1);
    job.chunks = ceil_div(desc->k, job.chunk);
    job.task_units = block_flops < TASK_FLOPS ? (int64_t) (TASK_FLOPS / block_flops) : 1;
    return job;
}

static void multiply_unit(const matmul_job *job, int64_t unit) {
    const pan_matmul_desc *desc = &job->desc;
    const tile_block block = tile_block_at(&job->grid, unit % job->grid.tasks);
    const int64_t batch = unit / job->grid.tasks % desc->batch;
    const int64_t chunk = unit / job->grid.tasks / desc->batch;
    const tile_range terms = tile_at(chunk, job->chunk, desc->k);
    const int64_t a_row = desc->a_transposed ? terms.begin : block.rows.begin;
    const int64_t a_column = desc->a_transposed ? block.rows.begin : terms.begin;
    const int64_t b_row = desc->b_transposed ? block.columns.begin : terms.begin;
    const int64_t b_column = desc->b_transposed ? terms.begin : block.columns.begin;
    const bool direct = job->partial == NULL;
    float *y = direct ? job->y + batch * desc->y_batch_stride
                      : job->partial + (chunk * desc->batch + batch) * desc->m * desc->n;
    const int64_t y_stride = direct ? desc->y_stride : desc->n;
    pan_gemm(desc->a_transposed, desc->b_transposed, block.rows.end - block.rows.begin,
             block.columns.end - block.columns.begin, terms.end - terms.begin, desc->alpha,
             job->a + batch * desc->a_batch_stride + a_row * desc->a_stride + a_column, desc->a_stride,
             job->b + batch * desc->b_batch_stride + b_row * desc->b_stride + b_column, desc->b_stride,
             direct && desc->accumulate ? 1.0f : 0.0f, y + block.rows.begin * y_stride + block.columns.begin, y_stride);
}

static void multiply_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const matmul_job *job = context;
    const tile_range units = tile_at(task, job->task_units, job->units);
    for (int64_t unit = units.begin; unit < units.end; unit++) {
        multiply_unit(job, unit);
    }
}

/* Rows of y from their partial sums. */
static void add_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const matmul_job *job = context;
    const pan_matmul_desc *desc = &job->desc;
    const int64_t rows = desc->batch * desc->m;
    const tile_range range = tile_at(task, tile_rows(desc->n), rows);
    for (int64_t row = range.begin; row < range.end; row++) {
        float *y = job->y + row / desc->m * desc->y_batch_stride + row % desc->m * desc->y_stride;
        for (int64_t j = 0; j < desc->n; j += LANES) {
            const int64_t lanes = desc->n - j;
            vf sum = vf_load_first(job->partial + row * desc->n + j, lanes);
            for (int64_t chunk = 1; chunk < job->chunks; chunk++) {
                sum += vf_load_first(job->partial + (chunk * rows + row) * desc->n + j, lanes);
            }
            vf_store_first(y + j, desc->accumulate ? vf_load_first(y + j, lanes) + sum : sum, lanes);
        }
    }
}

pan_status PAN_BODY(matmul_workspace_size)(pan_stream *stream, const pan_matmul_desc *desc, int64_t *bytes) {
    (void) stream;
    const matmul_job job = plan(desc);
    *bytes = job.chunks > 1 ? job.chunks * desc->batch * desc->m * desc->n * (int64_t) sizeof(float) : 0;
    return PAN_OK;
}

pan_status PAN_BODY(matmul)(pan_stream *stream, const pan_matmul_desc *desc, const void *a, const void *b, void *y,
                            void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    matmul_job job = plan(desc);
    job.units = job.grid.tasks * desc->batch * job.chunks;
    job.a = a;
    job.b = b;
    job.y = y;
    job.partial = job.chunks > 1 ? workspace : NULL;
    pan_pool *pool = stream->device->pool;
    pan_parallel(pool, ceil_div(job.units, job.task_units), multiply_task, &job);
    if (job.chunks > 1) {
        pan_parallel(pool, ceil_div(desc->batch * desc->m, tile_rows(desc->n)), add_task, &job);
    }
    return PAN_OK;
}
