/* Causal depthwise convolution with a few taps. */
#include "short_conv.h"

typedef struct short_conv_job {
    sliding sliding;
    tile_grid grid;
} short_conv_job;

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const short_conv_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    slide_block(&job->sliding, &block);
}

pan_status PAN_BODY(short_conv_forward)(pan_stream *stream, const pan_short_conv_desc *desc, const void *x,
                                        const float *weight, const float *bias, void *y) {
    short_conv_job job = {
        .sliding = {.length = desc->length,
                    .taps = desc->taps,
                    .in = x,
                    .out = y,
                    .in_step = desc->x_stride,
                    .out_step = desc->y_stride,
                    .weight = weight,
                    .bias = bias},
        .grid = sliding_grid(desc->batch * desc->length, desc->channels, 1),
    };
    pan_parallel(stream->device->pool, job.grid.tasks, forward_task, &job);
    return PAN_OK;
}
