/* Affine map of rows and its gradients: blocks of the products, each computed by one GEMM call. */
#include "product.h"
#include "vector.h"

/* Blocks of the weight gradient, and how finely its sum over rows is cut. */
enum { WEIGHT_BLOCK_ROWS = 128, WEIGHT_BLOCK_COLUMNS = 256, WEIGHT_TASKS = 32, PARTIAL_FLOATS = 2 << 20 };

typedef struct forward_job {
    pan_linear_desc desc;
    tile_grid grid;
    const float *x;
    const float *weight;
    const float *bias; /* may be NULL */
    float *y;
} forward_job;

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const forward_job *job = context;
    const pan_linear_desc *desc = &job->desc;
    const tile_block block = tile_block_at(&job->grid, task);
    const int64_t rows = block.rows.end - block.rows.begin;
    const int64_t columns = block.columns.end - block.columns.begin;
    float *y = job->y + block.rows.begin * desc->y_stride + block.columns.begin;
    if (job->bias != NULL) {
        for (int64_t r = 0; r < rows; r++) {
            memcpy(y + r * desc->y_stride, job->bias + block.columns.begin, (size_t) columns * sizeof *y);
        }
    }
    pan_gemm(false, true, rows, columns, desc->in_features, 1.0f, job->x + block.rows.begin * desc->x_stride,
             desc->x_stride, job->weight + block.columns.begin * desc->in_features, desc->in_features,
             job->bias != NULL ? 1.0f : 0.0f, y, desc->y_stride);
}

pan_status PAN_BODY(linear_forward)(pan_stream *stream, const pan_linear_desc *desc, const void *x, const float *weight,
                                    const float *bias, void *y) {
    forward_job job = {.desc = *desc,
                       .grid = product_grid(desc->rows, desc->out_features, desc->in_features),
                       .x = x,
                       .weight = weight,
                       .bias = bias,
                       .y = y};
    pan_parallel(stream->device->pool, job.grid.tasks, forward_task, &job);
    return PAN_OK;
}

/* How the gradients are cut. The sum over rows is cut into chunks, whose partial sums are added in their order. */
typedef struct backward_plan {
    tile_grid input;  /* blocks of dx */
    tile_grid weight; /* blocks of dweight, (out_features, in_features) */
    int64_t chunks;
    int64_t chunk_rows;
    int64_t weight_bytes; /* partial sums of dweight; none if there is one chunk */
    int64_t bias_bytes;   /* partial sums of dbias, in double */
} backward_plan;

static backward_plan plan_backward(const pan_linear_desc *desc) {
    const int64_t in = desc->in_features;
    const int64_t out = desc->out_features;
    backward_plan plan = {.input = product_grid(desc->rows, in, out),
                          .weight = cut(out, in, WEIGHT_BLOCK_ROWS, WEIGHT_BLOCK_COLUMNS)};
    const int64_t row_flops = 2 * plan.weight.block_rows * plan.weight.block_columns;
    int64_t chunks = min_i64(WEIGHT_TASKS / plan.weight.tasks, desc->rows / ceil_div(TASK_FLOPS, row_flops));
    chunks = min_i64(chunks, PARTIAL_FLOATS / in / out);
    plan.chunk_rows = ceil_div(desc->rows, chunks > 1 ? chunks : 1);
    plan.chunks = ceil_div(desc->rows, plan.chunk_rows);
    plan.weight_bytes = plan.chunks > 1 ? align_up(plan.chunks * in * out * (int64_t) sizeof(float)) : 0;
    plan.bias_bytes = align_up(plan.chunks * out * (int64_t) sizeof(double));
    return plan;
}

typedef struct backward_job {
    pan_linear_desc desc;
    backward_plan plan;
    const float *x;
    const float *weight;
    const float *dy;
    float *dx; /* may be NULL, as the others */
    float *dweight;
    float *dbias;
    float *weight_sums; /* (chunks, out_features, in_features) */
    double *bias_sums;  /* (chunks, out_features) */
    int64_t input_tasks;
    int64_t tasks; /* input_tasks, then one for each chunk of rows and block of the weight gradient */
} backward_job;

static void input_block(const backward_job *job, int64_t task) {
    const pan_linear_desc *desc = &job->desc;
    const tile_block block = tile_block_at(&job->plan.input, task);
    pan_gemm(false, false, block.rows.end - block.rows.begin, block.columns.end - block.columns.begin,
             desc->out_features, 1.0f, job->dy + block.rows.begin * desc->y_stride, desc->y_stride,
             job->weight + block.columns.begin, desc->in_features, 0.0f,
             job->dx + block.rows.begin * desc->x_stride + block.columns.begin, desc->x_stride);
}

/* Sums of the columns of rows x columns. */
static void sum_columns(const float *restrict x, int64_t stride, int64_t rows, int64_t columns, double *restrict sums) {
    memset(sums, 0, (size_t) columns * sizeof *sums);
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const float *row = x + r * stride;
        for (int64_t c = 0; c < columns; c++) {
            sums[c] += ((double) row[c] + row[c + stride]) + ((double) row[c + 2 * stride] + row[c + 3 * stride]);
        }
    }
    for (; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            sums[c] += x[r * stride + c];
        }
    }
}

/* A block of one chunk's weight gradient. The first of the blocks beside each other also sums dy for the bias. */
static void weight_block(const backward_job *job, int64_t task) {
    const pan_linear_desc *desc = &job->desc;
    const int64_t chunk = task / job->plan.weight.tasks;
    const tile_block block = tile_block_at(&job->plan.weight, task % job->plan.weight.tasks);
    const tile_range rows = tile_at(chunk, job->plan.chunk_rows, desc->rows);
    const float *dy = job->dy + rows.begin * desc->y_stride + block.rows.begin;
    const int64_t outs = block.rows.end - block.rows.begin;
    if (job->dbias != NULL && block.columns.begin == 0) {
        sum_columns(dy, desc->y_stride, rows.end - rows.begin, outs,
                    job->bias_sums + chunk * desc->out_features + block.rows.begin);
    }
    if (job->dweight == NULL) {
        return;
    }
    const bool direct = job->plan.chunks == 1;
    float *target = direct ? job->dweight : job->weight_sums + chunk * desc->out_features * desc->in_features;
    pan_gemm(true, false, outs, block.columns.end - block.columns.begin, rows.end - rows.begin, 1.0f, dy,
             desc->y_stride, job->x + rows.begin * desc->x_stride + block.columns.begin, desc->x_stride,
             direct ? 1.0f : 0.0f, target + block.rows.begin * desc->in_features + block.columns.begin,
             desc->in_features);
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const backward_job *job = context;
    if (task < job->input_tasks) {
        input_block(job, task);
    } else {
        weight_block(job, task - job->input_tasks);
    }
}

/* All of them as one task, where they are too little to wake a worker for. */
static void backward_all(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    for (task = 0; task < job->tasks; task++) {
        backward_task(context, task, worker);
    }
}

/* Adds the chunks' partial sums to a range of dweight. */
static void add_weight_sums(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const backward_job *job = context;
    const int64_t count = job->desc.in_features * job->desc.out_features;
    const tile_range range = tile_at(task, TILE_ELEMENTS, count);
    int64_t i = range.begin;
    for (; i + LANES <= range.end; i += LANES) {
        vf sum = vf_load(job->weight_sums + i);
        for (int64_t chunk = 1; chunk < job->plan.chunks; chunk++) {
            sum += vf_load(job->weight_sums + chunk * count + i);
        }
        vf_store(job->dweight + i, vf_load(job->dweight + i) + sum);
    }
    for (; i < range.end; i++) {
        float sum = job->weight_sums[i];
        for (int64_t chunk = 1; chunk < job->plan.chunks; chunk++) {
            sum += job->weight_sums[chunk * count + i];
        }
        job->dweight[i] += sum;
    }
}

static void add_bias_sums(const backward_job *job) {
    const int64_t out = job->desc.out_features;
    for (int64_t o = 0; o < out; o++) {
        double sum = job->bias_sums[o];
        for (int64_t chunk = 1; chunk < job->plan.chunks; chunk++) {
            sum += job->bias_sums[chunk * out + o];
        }
        job->dbias[o] += (float) sum;
    }
}

pan_status PAN_BODY(linear_backward_workspace_size)(pan_stream *stream, const pan_linear_desc *desc, int64_t *bytes) {
    (void) stream;
    const backward_plan plan = plan_backward(desc);
    *bytes = plan.weight_bytes + plan.bias_bytes;
    return PAN_OK;
}

pan_status PAN_BODY(linear_backward)(pan_stream *stream, const pan_linear_desc *desc, const void *x,
                                     const float *weight, const void *dy, void *dx, float *dweight, float *dbias,
                                     void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    backward_job job = {.desc = *desc,
                        .plan = plan_backward(desc),
                        .x = x,
                        .weight = weight,
                        .dy = dy,
                        .dx = dx,
                        .dweight = dweight,
                        .dbias = dbias,
                        .weight_sums = workspace};
    const backward_plan *plan = &job.plan;
    job.bias_sums = (double *) ((char *) workspace + plan->weight_bytes);
    job.input_tasks = dx != NULL ? plan->input.tasks : 0;
    job.tasks = job.input_tasks + (dweight != NULL || dbias != NULL ? plan->chunks * plan->weight.tasks : 0);
    if (4.0 * (double) desc->rows * (double) desc->in_features * (double) desc->out_features < TASK_FLOPS) {
        pan_parallel(pool, 1, backward_all, &job);
    } else {
        pan_parallel(pool, job.tasks, backward_task, &job);
    }
    if (dweight != NULL && plan->chunks > 1) {
        const int64_t count = desc->in_features * desc->out_features;
        pan_parallel(pool, ceil_div(count, TILE_ELEMENTS), add_weight_sums, &job);
    }
    if (dbias != NULL) {
        add_bias_sums(&job);
    }
    return PAN_OK;
}
