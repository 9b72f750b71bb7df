/* Gradient of the long convolution.
 *
 * A task goes over some examples of one block of channels. What it adds to the gradients of the filter and of the skip
 * is kept in the workspace, by FFT as a spectrum; then the tasks of a block are added up in their order. */
#include "long_conv_column.h"
#include "vector_double.h"

/* Tasks to aim for: enough for many threads, few enough for their sums to take little memory. */
enum { BACKWARD_TASKS = 64 };

typedef struct backward_job {
    const pan_long_conv_plan *plan;
    const void *spectrum;
    const float *u;
    const float *pre;
    const float *post;
    const float *skip;
    const float *dy;
    float *du; /* may be NULL, as dpre, dpost, dh, dskip */
    float *dpre;
    float *dpost;
    float *dh;
    float *dskip;
    int64_t examples;    /* of a task */
    int64_t block_tasks; /* tasks of a block of channels */
    bool signal;         /* the convolution's input is needed */
    float *partial;      /* of each task: see partial_floats() */
    float *scratch;      /* of each worker: two columns and what they are convolved in */
} backward_job;

static int64_t backward_examples(const pan_long_conv_plan *plan) {
    const int64_t tasks = ceil_div(BACKWARD_TASKS, channel_blocks(plan));
    const int64_t examples = ceil_div(plan->desc.batch, tasks);
    return examples > task_examples(plan) ? examples : task_examples(plan);
}

static int64_t backward_tasks(const pan_long_conv_plan *plan) {
    return channel_blocks(plan) * ceil_div(plan->desc.batch, backward_examples(plan));
}

/* Gradient of the filter, by FFT divided by 2^exponent; exponents (LANES); gradient of the skip (2 LANES). */
static int64_t partial_floats(const pan_long_conv_plan *plan) {
    return filter_floats(plan) + 3 * LANES;
}

static int64_t backward_scratch_floats(const pan_long_conv_plan *plan) {
    return 2 * (column_floats(plan) + product_floats(plan));
}

static float *partial_of(const backward_job *job, int64_t task) {
    return job->partial + task * partial_floats(job->plan);
}

static vi load_exponent(const float *partial, int64_t filter_floats) {
    vi exponent;
    memcpy(&exponent, partial + filter_floats, sizeof exponent);
    return exponent;
}

static vd load_skip_sum(const float *partial, int64_t filter_floats) {
    vd sum;
    memcpy(&sum, partial + filter_floats + LANES, sizeof sum);
    return sum;
}

static void add_skip_gradient(const pan_long_conv_plan *plan, const float *g, const float *x, float *partial) {
    vd sum = load_skip_sum(partial, filter_floats(plan));
    for (int64_t t = 0; t < plan->desc.length; t++) {
        sum = vd_multiply_add(vd_from_vf(vf_load(g + t * LANES)), vd_from_vf(vf_load(x + t * LANES)), sum);
    }
    memcpy(partial + filter_floats(plan) + LANES, &sum, sizeof sum);
}

/* The columns of one example, and the largest magnitude of each of their lanes. */
typedef struct example_columns {
    float *x; /* the convolution's input; becomes its output where that is needed */
    float *g; /* the gradient of its output; becomes that of its input */
    float *x_product;
    float *g_product;
    vf x_largest;
    vf g_largest;
    vf skip;
} example_columns;

static void differentiate_by_fft(const backward_job *job, int64_t block, example_columns *columns, float *partial) {
    const pan_long_conv_plan *plan = job->plan;
    vi missing;
    memcpy(&missing, filter_exponents(plan, job->spectrum, block), sizeof missing);
    const vf *skip = job->skip == NULL ? NULL : &columns->skip;
    const vi x_exponent = vf_exponent(columns->x_largest);
    const vi g_exponent = vf_exponent(columns->g_largest);
    fft_gradient gradient = {.h = filter_block(plan, job->spectrum, block),
                             .x = job->dh != NULL || job->dpost != NULL ? columns->x_product : NULL,
                             .g = columns->g_product,
                             .convolve = job->dpost != NULL,
                             .correlate = job->du != NULL || job->dpre != NULL};
    if (job->dh != NULL) {
        const vi before = load_exponent(partial, filter_floats(plan));
        const vi zero = (columns->x_largest == 0.0f) | (columns->g_largest == 0.0f);
        const vi exponent = (zero & EXPONENT_NONE) | (~zero & (x_exponent + g_exponent));
        const vi more = exponent > before;
        const vi after = (more & exponent) | (~more & before);
        memcpy(partial + filter_floats(plan), &after, sizeof after);
        gradient.sum = partial;
        gradient.keep = vf_power_or_zero(before - after);
        gradient.add = vf_power_or_zero(exponent - after);
    }
    fft_begin(plan, columns->g, vf_power(-g_exponent), gradient.g);
    if (gradient.x != NULL) {
        fft_begin(plan, columns->x, vf_power(-x_exponent), gradient.x);
    }
    fft_differentiate(plan, &gradient);
    if (gradient.correlate) {
        fft_end(plan, gradient.g, g_exponent + missing, skip, columns->g);
    }
    if (gradient.convolve) {
        fft_end(plan, gradient.x, x_exponent + missing, skip, columns->x);
    }
}

static void reverse_column(const float *column, int64_t length, float *reversed) {
    for (int64_t t = 0; t < length; t++) {
        vf_store(reversed + t * LANES, vf_load(column + (length - 1 - t) * LANES));
    }
    memset(reversed + length * LANES, 0, COLUMN_PADDING * LANES * sizeof *reversed);
}

static void add_rows(const float *rows, int64_t count, float *sum) {
    for (int64_t i = 0; i < count; i++) {
        vf_store(sum + i * LANES, vf_load(sum + i * LANES) + vf_load(rows + i * LANES));
    }
}

/* column = rows + skip * column */
static void end_column(const backward_job *job, const float *rows, vf skip, float *column) {
    for (int64_t t = 0; t < job->plan->desc.length; t++) {
        vf y = vf_load(rows + t * LANES);
        if (job->skip != NULL) {
            y += skip * vf_load(column + t * LANES);
        }
        vf_store(column + t * LANES, y);
    }
}

/* With r the reversed gradient, r[i] = g[length-1-i], both correlations are convolutions:
 * sum_t h[t-s] g[t] = (h * r)[length-1-s] and sum_t g[t] x[t-j] = (r * x)[length-1-j]. */
static void differentiate_directly(const backward_job *job, int64_t block, example_columns *columns, float *partial) {
    const pan_long_conv_plan *plan = job->plan;
    const int64_t length = plan->desc.length;
    const float *h = filter_block(plan, job->spectrum, block);
    float *reversed = columns->g_product;
    float *product = columns->x_product;
    reverse_column(columns->g, length, reversed);
    if (job->dh != NULL) {
        direct_convolve(columns->x, reversed, length, (tile_range){length - plan->taps, length}, product);
        for (int64_t j = 0; j < plan->taps; j++) {
            add_rows(product + (length - 1 - j) * LANES, 1, partial + j * LANES);
        }
    }
    if (job->dpost != NULL) {
        direct_convolve(columns->x, h, plan->taps, (tile_range){0, length}, product);
        end_column(job, product, columns->skip, columns->x);
    }
    if (job->du != NULL || job->dpre != NULL) {
        direct_convolve(reversed, h, plan->taps, (tile_range){0, length}, product);
        reverse_column(product, length, reversed);
        end_column(job, reversed, columns->skip, columns->g);
    }
}

/* Spreads the gradients of input and output over the arrays. Every array is read before one that may be the same is
 * written. */
static void scatter_gradients(const backward_job *job, int64_t example, int64_t block, const example_columns *columns) {
    const pan_long_conv_plan *plan = job->plan;
    const pan_long_conv_desc *desc = &plan->desc;
    const int64_t lanes = block_lanes(plan, block);
    const column_view u = view_column(plan, job->u, desc->u_stride, example, block);
    const column_view pre = view_column(plan, job->pre, desc->pre_stride, example, block);
    const column_view dy = view_column(plan, job->dy, desc->y_stride, example, block);
    const column_view du = view_column(plan, job->du, desc->u_stride, example, block);
    const column_view dpre = view_column(plan, job->dpre, desc->pre_stride, example, block);
    const column_view dpost = view_column(plan, job->dpost, desc->post_stride, example, block);
    for (int64_t t = 0; t < desc->length; t++) {
        if (dpost.address != NULL) {
            const vf v = vf_load(columns->x + t * LANES);
            vf_store_first(dpost.address + t * dpost.stride, v * view_row(dy, t, lanes), lanes);
        }
        const vf dx = vf_load(columns->g + t * LANES);
        if (dpre.address != NULL) {
            vf_store_first(dpre.address + t * dpre.stride, dx * view_row(u, t, lanes), lanes);
        }
        if (du.address != NULL) {
            vf_store_first(du.address + t * du.stride, pre.address == NULL ? dx : dx * view_row(pre, t, lanes), lanes);
        }
    }
}

static void differentiate_example(const backward_job *job, int64_t example, int64_t block, float *partial,
                                  example_columns *columns) {
    const pan_long_conv_plan *plan = job->plan;
    const pan_long_conv_desc *desc = &plan->desc;
    const int64_t lanes = block_lanes(plan, block);
    const column_view u = view_column(plan, job->u, desc->u_stride, example, block);
    const column_view pre = view_column(plan, job->pre, desc->pre_stride, example, block);
    const column_view post = view_column(plan, job->post, desc->post_stride, example, block);
    const column_view dy = view_column(plan, job->dy, desc->y_stride, example, block);
    if (job->signal) {
        columns->x_largest = gather_column(plan, u, pre, lanes, columns->x);
    }
    columns->g_largest = gather_column(plan, dy, post, lanes, columns->g);
    if (job->dskip != NULL) {
        add_skip_gradient(plan, columns->g, columns->x, partial);
    }
    if (plan->method == PAN_CONV_FFT) {
        differentiate_by_fft(job, block, columns, partial);
    } else {
        differentiate_directly(job, block, columns, partial);
    }
    scatter_gradients(job, example, block, columns);
}

static void examples_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const pan_long_conv_plan *plan = job->plan;
    const int64_t block = task / job->block_tasks;
    float *scratch = job->scratch + worker * backward_scratch_floats(plan);
    example_columns columns = {.x = scratch,
                               .g = scratch + column_floats(plan),
                               .x_product = scratch + 2 * column_floats(plan),
                               .g_product = scratch + 2 * column_floats(plan) + product_floats(plan)};
    if (job->skip != NULL) {
        columns.skip = vf_load_first(job->skip + block * LANES, block_lanes(plan, block));
    }
    float *partial = partial_of(job, task);
    memset(partial, 0, (size_t) partial_floats(plan) * sizeof *partial);
    const vi lowest = (vi){} + EXPONENT_NONE;
    memcpy(partial + filter_floats(plan), &lowest, sizeof lowest);
    const tile_range examples = tile_at(task % job->block_tasks, job->examples, plan->desc.batch);
    for (int64_t b = examples.begin; b < examples.end; b++) {
        differentiate_example(job, b, block, partial, &columns);
    }
}

/* dh += rows, for the channels of a block. */
static void scatter_taps(const backward_job *job, int64_t block, const float *rows) {
    const pan_long_conv_desc *desc = &job->plan->desc;
    float *dh = job->dh + block * LANES * desc->h_channel_stride;
    const int64_t lanes = block_lanes(job->plan, block);
    for (int64_t j = 0; j < job->plan->taps; j++) {
        for (int64_t lane = 0; lane < lanes; lane++) {
            dh[lane * desc->h_channel_stride + j * desc->h_tap_stride] += rows[j * LANES + lane];
        }
    }
}

/* Adds up the spectra of a block's tasks, each with its own exponent, into the first; its exponent is returned. */
static vi add_spectra(const backward_job *job, int64_t block) {
    const pan_long_conv_plan *plan = job->plan;
    const int64_t floats = spectrum_floats(plan);
    vi largest = (vi){} + EXPONENT_NONE;
    for (int64_t i = 0; i < job->block_tasks; i++) {
        const vi exponent = load_exponent(partial_of(job, block * job->block_tasks + i), floats);
        const vi more = exponent > largest;
        largest = (more & exponent) | (~more & largest);
    }
    float *sum = partial_of(job, block * job->block_tasks);
    for (int64_t i = 0; i < job->block_tasks; i++) {
        const float *partial = partial_of(job, block * job->block_tasks + i);
        const vf scale = vf_power_or_zero(load_exponent(partial, floats) - largest);
        for (int64_t k = 0; k < floats; k += LANES) {
            const vf term = vf_load(partial + k) * scale;
            vf_store(sum + k, i == 0 ? term : vf_load(sum + k) + term);
        }
    }
    return largest;
}

static void filter_task(void *context, int64_t block, int32_t worker) {
    const backward_job *job = context;
    const pan_long_conv_plan *plan = job->plan;
    float *first = partial_of(job, block * job->block_tasks);
    if (job->dskip != NULL) {
        const int64_t lanes = block_lanes(plan, block);
        float *dskip = job->dskip + block * LANES;
        vd sum = {0};
        for (int64_t i = 0; i < job->block_tasks; i++) {
            sum = vd_add(sum, load_skip_sum(first + i * partial_floats(plan), filter_floats(plan)));
        }
        vf_store_first(dskip, vf_load_first(dskip, lanes) + vf_from_vd(sum), lanes);
    }
    if (job->dh == NULL) {
        return;
    }
    if (plan->method == PAN_CONV_DIRECT) {
        for (int64_t i = 1; i < job->block_tasks; i++) {
            add_rows(first + i * partial_floats(plan), plan->taps, first);
        }
        scatter_taps(job, block, first);
        return;
    }
    float *rows = job->scratch + worker * backward_scratch_floats(plan);
    const vi exponent = add_spectra(job, block) - points_exponent(plan);
    fft_restore(plan, first);
    fft_end(plan, first, exponent, NULL, rows);
    scatter_taps(job, block, rows);
}

pan_status PAN_BODY(long_conv_backward_workspace_size)(pan_stream *stream, const pan_long_conv_plan *plan,
                                                       int64_t *bytes) {
    *bytes = (pan_pool_threads(stream->device->pool) * backward_scratch_floats(plan) +
              backward_tasks(plan) * partial_floats(plan)) *
             (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(long_conv_backward)(pan_stream *stream, const pan_long_conv_plan *plan, const void *spectrum,
                                        const void *u, const void *pre, const void *post, const float *skip,
                                        const void *dy, void *du, void *dpre, void *dpost, float *dh, float *dskip,
                                        void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    backward_job job = {.plan = plan,
                        .spectrum = spectrum,
                        .u = u,
                        .pre = pre,
                        .post = post,
                        .skip = skip,
                        .dy = dy,
                        .du = du,
                        .dpre = dpre,
                        .dpost = dpost,
                        .dh = dh,
                        .dskip = dskip,
                        .examples = backward_examples(plan),
                        .signal = dpost != NULL || dh != NULL || dskip != NULL,
                        .scratch = workspace};
    job.block_tasks = ceil_div(plan->desc.batch, job.examples);
    job.partial = job.scratch + pan_pool_threads(pool) * backward_scratch_floats(plan);
    pan_parallel(pool, channel_blocks(plan) * job.block_tasks, examples_task, &job);
    if (dh != NULL || dskip != NULL) {
        pan_parallel(pool, channel_blocks(plan), filter_task, &job);
    }
    return PAN_OK;
}
