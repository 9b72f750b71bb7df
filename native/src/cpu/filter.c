/* What implicit filters are made of: features of the position, sine layers, decay.
 *
 * The gradient of a layer's frequencies is a sum over rows: every block of BLOCK_ROWS rows sums its own in the
 * workspace, then the blocks are added up in their order. */
#include "tile.h"
#include "vector_math.h"

/* ---- features of the position ---- */

typedef struct features_job {
    const pan_positional_features_desc *desc;
    int64_t task_rows;
    float *z;
} features_job;

static void features_row(const pan_positional_features_desc *desc, int64_t t, float *z) {
    const double pi = 3.14159265358979323846;
    const double lowest = 1e-4;
    const double last = (double) (desc->bands - 1);
    const double spacing = desc->bands == 1 ? 0.0 : (last - lowest) / last;
    const double angle = 2.0 * pi * (double) t / (double) desc->length;
    z[0] = desc->length == 1 ? 0.0f : (float) ((double) t / (double) (desc->length - 1));
    for (int64_t k = 0; k < desc->bands; k++) {
        const double phase = (lowest + (double) k * spacing) * angle;
        z[1 + k] = (float) cos(phase);
        z[1 + desc->bands + k] = (float) -sin(phase);
    }
}

static void features_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const features_job *job = context;
    const tile_range rows = tile_at(task, job->task_rows, job->desc->length);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        features_row(job->desc, t, job->z + t * (2 * job->desc->bands + 1));
    }
}

pan_status PAN_BODY(positional_features)(pan_stream *stream, const pan_positional_features_desc *desc, float *z) {
    /* A feature costs as much as many elements of other ops. */
    features_job job = {.desc = desc, .task_rows = ceil_div(tile_rows(2 * desc->bands + 1), 16), .z = z};
    pan_parallel(stream->device->pool, ceil_div(desc->length, job.task_rows), features_task, &job);
    return PAN_OK;
}

/* ---- sine layer ---- */

/* A function of products, which are formed in double: rounding them would cost the result as many bits as they have in
 * front of the point. */
typedef struct vf_product {
    vd wide;
    vf rounded;
} vf_product;

static inline vf_product multiply(vf a, vf b) {
    return (vf_product){vd_multiply_add(vd_from_vf(a), vd_from_vf(b), (vd){{0}, {0}}), a * b};
}

/* sin(x + quarters pi/2) by a vector function within its limits, by libm beyond them. */
PAN_INLINE vf sine_of(vf_product x, int32_t quarters, double (*function)(double)) {
    vd n;
    const vd r = {reduce_half(x.wide.low, &n.low), reduce_half(x.wide.high, &n.high)};
    const vi quadrant = (vi) (vf_from_vd(n) + PAN_ROUND_F32);
    vf y = vf_sin_quadrant(vf_from_vd(r), quadrant + quarters);
    if (vi_any(~(vf_abs(x.rounded) <= PAN_TRIGONOMETRIC_LIMIT))) {
        for (int i = 0; i < LANES; i++) {
            const double exact = i < LANES / 2 ? x.wide.low[i] : x.wide.high[i - LANES / 2];
            y[i] = fabsf(x.rounded[i]) <= PAN_TRIGONOMETRIC_LIMIT ? y[i] : (float) function(exact);
        }
    }
    return y;
}

typedef struct sine_job {
    tile_grid grid;
    const float *x;
    const float *frequency;
    float *y;
} sine_job;

static void sine_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const sine_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t row = block.rows.begin; row < block.rows.end; row++) {
        const float *x = job->x + row * job->grid.columns;
        float *y = job->y + row * job->grid.columns;
        for (int64_t c = block.columns.begin; c < block.columns.end; c += LANES) {
            const int64_t lanes = min_i64(LANES, block.columns.end - c);
            const vf_product phase = multiply(vf_load_first(job->frequency + c, lanes), vf_load_first(x + c, lanes));
            vf_store_first(y + c, sine_of(phase, 0, sin), lanes);
        }
    }
}

pan_status PAN_BODY(sine_layer_forward)(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                        const float *frequency, void *y) {
    sine_job job = {.grid = tile_grid_of(desc->rows, desc->channels), .x = x, .frequency = frequency, .y = y};
    pan_parallel(stream->device->pool, job.grid.tasks, sine_task, &job);
    return PAN_OK;
}

enum { BLOCK_ROWS = 64 };

typedef struct sine_backward_job {
    const pan_sine_layer_desc *desc;
    int64_t blocks;
    int64_t task_blocks;   /* blocks of a task that goes over the rows */
    int64_t task_channels; /* channels of a task that adds up the blocks */
    const float *x;
    const float *frequency;
    const float *dy;
    float *dx; /* may be NULL, as dfrequency */
    float *dfrequency;
    float *partial; /* (blocks, channels): of dfrequency */
} sine_backward_job;

/* What the row adds to the gradient of the frequencies goes to `partial`. */
static void sine_gradient_row(const sine_backward_job *job, int64_t row, float *partial) {
    const int64_t channels = job->desc->channels;
    const int64_t first = row * channels;
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels - c);
        const vf x = vf_load_first(job->x + first + c, lanes);
        const vf frequency = vf_load_first(job->frequency + c, lanes);
        const vf gradient = sine_of(multiply(frequency, x), 1, cos) * vf_load_first(job->dy + first + c, lanes);
        if (job->dx != NULL) {
            vf_store_first(job->dx + first + c, frequency * gradient, lanes);
        }
        vf_store_first(partial + c, vf_load_first(partial + c, lanes) + x * gradient, lanes);
    }
}

static void sine_rows_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const sine_backward_job *job = context;
    const int64_t channels = job->desc->channels;
    const tile_range blocks = tile_at(task, job->task_blocks, job->blocks);
    for (int64_t block = blocks.begin; block < blocks.end; block++) {
        float *partial = job->partial + block * channels;
        memset(partial, 0, (size_t) channels * sizeof *partial);
        const tile_range rows = tile_at(block, BLOCK_ROWS, job->desc->rows);
        for (int64_t row = rows.begin; row < rows.end; row++) {
            sine_gradient_row(job, row, partial);
        }
    }
}

static void sine_frequencies_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const sine_backward_job *job = context;
    const tile_range channels = tile_at(task, job->task_channels, job->desc->channels);
    for (int64_t c = channels.begin; c < channels.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels.end - c);
        vd sum = {0};
        for (int64_t block = 0; block < job->blocks; block++) {
            sum = vd_add(sum, vd_from_vf(vf_load_first(job->partial + block * job->desc->channels + c, lanes)));
        }
        vf_store_first(job->dfrequency + c, vf_load_first(job->dfrequency + c, lanes) + vf_from_vd(sum), lanes);
    }
}

pan_status PAN_BODY(sine_layer_backward_workspace_size)(pan_stream *stream, const pan_sine_layer_desc *desc,
                                                        int64_t *bytes) {
    (void) stream;
    *bytes = ceil_div(desc->rows, BLOCK_ROWS) * desc->channels * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(sine_layer_backward)(pan_stream *stream, const pan_sine_layer_desc *desc, const void *x,
                                         const float *frequency, const void *dy, void *dx, float *dfrequency,
                                         void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    const int64_t blocks = ceil_div(desc->rows, BLOCK_ROWS);
    sine_backward_job job = {.desc = desc,
                             .blocks = blocks,
                             .task_blocks = ceil_div(tile_rows(desc->channels), BLOCK_ROWS),
                             .task_channels = ceil_div(tile_rows(blocks), LANES) * LANES,
                             .x = x,
                             .frequency = frequency,
                             .dy = dy,
                             .dx = dx,
                             .dfrequency = dfrequency,
                             .partial = workspace};
    pan_pool *pool = stream->device->pool;
    pan_parallel(pool, ceil_div(job.blocks, job.task_blocks), sine_rows_task, &job);
    if (dfrequency != NULL) {
        pan_parallel(pool, ceil_div(desc->channels, job.task_channels), sine_frequencies_task, &job);
    }
    return PAN_OK;
}

/* ---- decay ---- */

typedef struct modulation_job {
    const pan_exponential_modulation_desc *desc;
    tile_grid grid;
    const float *x;
    const float *rate;
    float *y;
} modulation_job;

/* The exponential underflows long before; a NaN passes the comparison. */
static inline vd_half bounded_exponent(vd_half x) {
    const vd_half least = {};
    typedef __typeof__(x < least) mask;
    const mask below = x < least - 149.0;
    return (vd_half) ((below & (mask) (least - 149.0)) | (~below & (mask) x));
}

static void modulation_row(const modulation_job *job, int64_t t, tile_range columns) {
    const double time = (double) t * job->desc->time_step;
    const double shift = job->desc->shift;
    const float *x = job->x + t * job->desc->channels;
    float *y = job->y + t * job->desc->channels;
    for (int64_t c = columns.begin; c < columns.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns.end - c);
        const vd rate = vd_from_vf(vf_abs(vf_load_first(job->rate + c, lanes)));
        const vd exponent = {bounded_exponent(rate.low * -time), bounded_exponent(rate.high * -time)};
        const vd decay = vd_from_vf(vf_exp_double(exponent));
        const vf window = vf_from_vd((vd){decay.low + shift, decay.high + shift});
        vf_store_first(y + c, vf_load_first(x + c, lanes) * window, lanes);
    }
}

static void modulation_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const modulation_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t row = block.rows.begin; row < block.rows.end; row++) {
        modulation_row(job, row, block.columns);
    }
}

pan_status PAN_BODY(exponential_modulation)(pan_stream *stream, const pan_exponential_modulation_desc *desc,
                                            const void *x, const float *rate, void *y) {
    modulation_job job = {
        .desc = desc, .grid = tile_grid_of(desc->length, desc->channels), .x = x, .rate = rate, .y = y};
    pan_parallel(stream->device->pool, job.grid.tasks, modulation_task, &job);
    return PAN_OK;
}
