/* Softmax of dense rows. */
#include "tile.h"
#include "vector_math.h"

typedef struct softmax_job {
    const pan_softmax_desc *desc;
    int64_t tile_rows;
    const float *x; /* backward: y */
    const float *dy;
    float *out; /* y, or dx */
} softmax_job;

static float row_largest(const float *x, int64_t columns) {
    vf largest = vf_splat(-INFINITY);
    int64_t c = 0;
    for (; c + LANES <= columns; c += LANES) {
        largest = vf_max(vf_load(x + c), largest);
    }
    if (c < columns) {
        largest = vf_max(vf_load_part(x + c, columns - c, -INFINITY), largest);
    }
    return vf_largest(largest);
}

/* y = exp(x - largest); the sum of y. A NaN may have escaped row_largest(), but not the exponential. */
static double row_exponentials(const float *x, float largest, float *y, int64_t columns) {
    vd sum = {0};
    for (int64_t c = 0; c < columns; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns - c);
        const vf term = vf_keep_first(vf_exp(vf_load_first(x + c, lanes) - largest), lanes);
        vf_store_first(y + c, term, lanes);
        sum = vd_add(sum, vd_from_vf(term));
    }
    return vd_sum(sum);
}

static void scale_row(float *y, float scale, int64_t columns) {
    for (int64_t c = 0; c < columns; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns - c);
        vf_store_first(y + c, vf_load_first(y + c, lanes) * scale, lanes);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const softmax_job *job = context;
    const int64_t columns = job->desc->columns;
    const tile_range tile = tile_at(task, job->tile_rows, job->desc->rows);
    for (int64_t r = tile.begin; r < tile.end; r++) {
        const float *x = job->x + r * columns;
        float *y = job->out + r * columns;
        const double sum = row_exponentials(x, row_largest(x, columns), y, columns);
        scale_row(y, (float) (1.0 / sum), columns);
    }
}

static double row_product(const float *a, const float *b, int64_t columns) {
    vd sum = {0};
    for (int64_t c = 0; c < columns; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns - c);
        const vd factor = vd_from_vf(vf_load_first(a + c, lanes));
        sum = vd_multiply_add(factor, vd_from_vf(vf_load_first(b + c, lanes)), sum);
    }
    return vd_sum(sum);
}

static void backward_row(const float *y, const float *dy, double product, float *dx, int64_t columns) {
    /* In two floats, because dy may be so close to the product that its rounding would show. */
    const float leading = (float) product;
    const float rest = (float) (product - (double) leading);
    for (int64_t c = 0; c < columns; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns - c);
        const vf difference = (vf_load_first(dy + c, lanes) - leading) - rest;
        vf_store_first(dx + c, vf_load_first(y + c, lanes) * difference, lanes);
    }
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const softmax_job *job = context;
    const int64_t columns = job->desc->columns;
    const tile_range tile = tile_at(task, job->tile_rows, job->desc->rows);
    for (int64_t r = tile.begin; r < tile.end; r++) {
        const float *y = job->x + r * columns;
        const float *dy = job->dy + r * columns;
        backward_row(y, dy, row_product(y, dy, columns), job->out + r * columns, columns);
    }
}

pan_status PAN_BODY(softmax_forward)(pan_stream *stream, const pan_softmax_desc *desc, const void *x, void *y) {
    softmax_job job = {.desc = desc, .tile_rows = tile_rows(desc->columns), .x = x, .out = y};
    pan_parallel(stream->device->pool, ceil_div(desc->rows, job.tile_rows), forward_task, &job);
    return PAN_OK;
}

pan_status PAN_BODY(softmax_backward)(pan_stream *stream, const pan_softmax_desc *desc, const void *y, const void *dy,
                                      void *dx) {
    softmax_job job = {.desc = desc, .tile_rows = tile_rows(desc->columns), .x = y, .dy = dy, .out = dx};
    pan_parallel(stream->device->pool, ceil_div(desc->rows, job.tile_rows), backward_task, &job);
    return PAN_OK;
}
