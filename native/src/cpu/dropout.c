/* Dropout and drop path from a counter; see core/random.h. */
#include "tile.h"
#include "vector_random.h"

typedef struct dropout_job {
    const pan_dropout_desc *desc;
    const pan_random_state *random;
    tile_grid grid;
    uint32_t threshold;
    uint32_t path_threshold;
    float scale; /* of what is kept */
    const float *x;
    float *y;
} dropout_job;

static void dropout_row(const dropout_job *job, int64_t row, tile_range columns) {
    const pan_dropout_desc *desc = job->desc;
    const int64_t example = row / desc->rows_per_example;
    const bool keep_path = pan_random_path_bits(job->random, desc->key, (uint64_t) example) >= job->path_threshold;
    const float scale = keep_path ? job->scale : 0.0f;
    const uint64_t state = pan_random_row(job->random, desc->key, (uint64_t) row);
    const float *x = job->x + row * desc->channels;
    float *y = job->y + row * desc->channels;
    for (int64_t c = columns.begin; c < columns.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns.end - c);
        const vf factor = vf_keep_factor(state, c, job->threshold, scale);
        vf_store_first(y + c, vf_load_first(x + c, lanes) * factor, lanes);
    }
}

static void dropout_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const dropout_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t row = block.rows.begin; row < block.rows.end; row++) {
        dropout_row(job, row, block.columns);
    }
}

pan_status PAN_BODY(dropout)(pan_stream *stream, const pan_dropout_desc *desc, const pan_random_state *random,
                             const void *x, void *y) {
    dropout_job job = {
        .desc = desc,
        .random = random,
        .grid = tile_grid_of(desc->rows, desc->channels),
        .threshold = pan_random_threshold(desc->probability),
        .path_threshold = pan_random_threshold(desc->path_probability),
        .scale = (float) (1.0 / (1.0 - (double) desc->probability) / (1.0 - (double) desc->path_probability)),
        .x = x,
        .y = y,
    };
    pan_parallel(stream->device->pool, job.grid.tasks, dropout_task, &job);
    return PAN_OK;
}
