/* Activations, element by element. */
#include "activation.h"

typedef struct activation_job {
    pan_activation kind;
    int64_t count;
    const float *x;
    const float *dy;
    float *out; /* y, or dx */
} activation_job;

PAN_INLINE void forward_range(pan_activation kind, const float *x, float *y, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t lanes = min_i64(LANES, count - i);
        vf_store_first(y + i, activate(kind, vf_load_first(x + i, lanes)).value, lanes);
    }
}

PAN_INLINE void backward_range(pan_activation kind, const float *x, const float *dy, float *dx, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t lanes = min_i64(LANES, count - i);
        const vf slope = activate(kind, vf_load_first(x + i, lanes)).slope;
        vf_store_first(dx + i, slope * vf_load_first(dy + i, lanes), lanes);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const activation_job *job = context;
    const tile_range tile = tile_at(task, TILE_ELEMENTS, job->count);
    const int64_t count = tile.end - tile.begin;
    PAN_WITH_ACTIVATION(job->kind, forward_range, job->x + tile.begin, job->out + tile.begin, count)
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const activation_job *job = context;
    const tile_range tile = tile_at(task, TILE_ELEMENTS, job->count);
    const int64_t count = tile.end - tile.begin;
    PAN_WITH_ACTIVATION(job->kind, backward_range, job->x + tile.begin, job->dy + tile.begin, job->out + tile.begin,
                        count)
}

pan_status PAN_BODY(activation_forward)(pan_stream *stream, const pan_activation_desc *desc, const void *x, void *y) {
    activation_job job = {.kind = desc->kind, .count = desc->count, .x = x, .out = y};
    pan_parallel(stream->device->pool, ceil_div(desc->count, TILE_ELEMENTS), forward_task, &job);
    return PAN_OK;
}

pan_status PAN_BODY(activation_backward)(pan_stream *stream, const pan_activation_desc *desc, const void *x,
                                         const void *dy, void *dx) {
    activation_job job = {.kind = desc->kind, .count = desc->count, .x = x, .dy = dy, .out = dx};
    pan_parallel(stream->device->pool, ceil_div(desc->count, TILE_ELEMENTS), backward_task, &job);
    return PAN_OK;
}
