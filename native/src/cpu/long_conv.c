/* Long convolution: preparing the filter, and forward. */
#include "long_conv_column.h"

typedef struct prepare_job {
    const pan_long_conv_plan *plan;
    const float *h;
    void *spectrum;
    float *scratch; /* of each worker: a column */
} prepare_job;

/* Taps of a block of channels as rows; the largest magnitude of each lane is returned. */
static vf gather_taps(const prepare_job *job, int64_t block, float *rows) {
    const pan_long_conv_desc *desc = &job->plan->desc;
    const float *h = job->h + block * LANES * desc->h_channel_stride;
    const int64_t lanes = block_lanes(job->plan, block);
    const vi magnitude = (vi){} + 0x7fffffff;
    vf largest = {0};
    for (int64_t j = 0; j < job->plan->taps; j++) {
        float row[LANES] = {0};
        for (int64_t lane = 0; lane < lanes; lane++) {
            row[lane] = h[lane * desc->h_channel_stride + j * desc->h_tap_stride];
        }
        memcpy(rows + j * LANES, row, sizeof row);
        largest = vf_max((vf) ((vi) vf_load(row) & magnitude), largest);
    }
    return largest;
}

static void prepare_task(void *context, int64_t block, int32_t worker) {
    const prepare_job *job = context;
    const pan_long_conv_plan *plan = job->plan;
    float *prepared = (float *) job->spectrum + block * filter_floats(plan);
    if (plan->method == PAN_CONV_DIRECT) {
        gather_taps(job, block, prepared);
        return;
    }
    float *rows = job->scratch + worker * column_floats(plan);
    const vf largest = gather_taps(job, block, rows);
    memset(rows + plan->taps * LANES, 0, (size_t) (column_floats(plan) - plan->taps * LANES) * sizeof *rows);
    const vi exponent = vi_clamp(vf_exponent(largest), EXPONENT_MIN + points_exponent(plan), EXPONENT_MAX);
    fft_begin(plan, rows, vf_power(-exponent), prepared);
    fft_transform(plan, prepared);
    const vi missing = exponent - points_exponent(plan);
    memcpy(filter_exponents(plan, job->spectrum, block), &missing, sizeof missing);
}

pan_status PAN_BODY(long_conv_spectrum_size)(pan_stream *stream, const pan_long_conv_plan *plan, int64_t *bytes) {
    (void) stream;
    const int64_t scales = plan->method == PAN_CONV_FFT ? LANES : 0;
    *bytes = channel_blocks(plan) * (filter_floats(plan) + scales) * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_prepare_workspace_size)(pan_stream *stream, const pan_long_conv_plan *plan,
                                                      int64_t *bytes) {
    const int64_t columns = plan->method == PAN_CONV_FFT ? pan_pool_threads(stream->device->pool) : 0;
    *bytes = columns * column_floats(plan) * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_prepare)(pan_stream *stream, const pan_long_conv_plan *plan, const float *h,
                                       void *spectrum, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    prepare_job job = {.plan = plan, .h = h, .spectrum = spectrum, .scratch = workspace};
    pan_parallel(stream->device->pool, channel_blocks(plan), prepare_task, &job);
    return PAN_OK;
}

typedef struct forward_job {
    const pan_long_conv_plan *plan;
    const void *spectrum;
    const float *u;
    const float *pre;
    const float *post;
    const float *skip;
    float *y;
    int64_t block_tasks; /* tasks of a block of channels */
    float *scratch;      /* of each worker: a column and what it is convolved in */
} forward_job;

static int64_t forward_scratch_floats(const pan_long_conv_plan *plan) {
    return column_floats(plan) + product_floats(plan);
}

/* The column becomes its convolution, plus skip times itself. `product` is scratch memory. */
static void convolve_column(const forward_job *job, int64_t block, vf largest, float *column, float *product) {
    const pan_long_conv_plan *plan = job->plan;
    const float *h = filter_block(plan, job->spectrum, block);
    vf skip = {0};
    if (job->skip != NULL) {
        skip = vf_load_first(job->skip + block * LANES, block_lanes(plan, block));
    }
    if (plan->method == PAN_CONV_FFT) {
        const vi exponent = vf_exponent(largest);
        vi missing;
        memcpy(&missing, filter_exponents(plan, job->spectrum, block), sizeof missing);
        fft_begin(plan, column, vf_power(-exponent), product);
        fft_convolve(plan, h, product);
        fft_end(plan, product, exponent + missing, job->skip == NULL ? NULL : &skip, column);
        return;
    }
    const int64_t length = plan->desc.length;
    direct_convolve(column, h, plan->taps, (tile_range){0, length}, product);
    for (int64_t t = 0; t < length; t++) {
        vf v = vf_load(product + t * LANES);
        if (job->skip != NULL) {
            v += skip * vf_load(column + t * LANES);
        }
        vf_store(column + t * LANES, v);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    const forward_job *job = context;
    const pan_long_conv_plan *plan = job->plan;
    const pan_long_conv_desc *desc = &plan->desc;
    const int64_t block = task / job->block_tasks;
    const int64_t lanes = block_lanes(plan, block);
    const tile_range examples = tile_at(task % job->block_tasks, task_examples(plan), desc->batch);
    float *column = job->scratch + worker * forward_scratch_floats(plan);
    for (int64_t b = examples.begin; b < examples.end; b++) {
        const column_view u = view_column(plan, job->u, desc->u_stride, b, block);
        const column_view pre = view_column(plan, job->pre, desc->pre_stride, b, block);
        const column_view post = view_column(plan, job->post, desc->post_stride, b, block);
        const column_view y = view_column(plan, job->y, desc->y_stride, b, block);
        const vf largest = gather_column(plan, u, pre, lanes, column);
        convolve_column(job, block, largest, column, column + column_floats(plan));
        for (int64_t t = 0; t < desc->length; t++) {
            vf v = vf_load(column + t * LANES);
            if (post.address != NULL) {
                v *= view_row(post, t, lanes);
            }
            vf_store_first(y.address + t * y.stride, v, lanes);
        }
    }
}

pan_status PAN_BODY(long_conv_forward_workspace_size)(pan_stream *stream, const pan_long_conv_plan *plan,
                                                      int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * forward_scratch_floats(plan) * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_forward)(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                       const void *u, const void *pre, const void *post, const float *skip, void *y,
                                       void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    forward_job job = {.plan = plan,
                       .spectrum = spectrum,
                       .u = u,
                       .pre = pre,
                       .post = post,
                       .skip = skip,
                       .y = y,
                       .block_tasks = ceil_div(plan->desc.batch, task_examples(plan)),
                       .scratch = workspace};
    pan_parallel(stream->device->pool, channel_blocks(plan) * job.block_tasks, forward_task, &job);
    return PAN_OK;
}
