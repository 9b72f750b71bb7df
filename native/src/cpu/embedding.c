/* Token and position embedding. */
#include "tile.h"
#include "vector_double.h"

/* The least channels of a task that scatters: a cache line. */
enum { LINE_CHANNELS = 16 };

typedef struct embedding_job {
    const pan_embedding_desc *desc;
    tile_grid grid;
    int64_t task_channels;  /* of a task that scatters */
    int64_t task_positions; /* of a task that sums positions */
    const int32_t *ids;
    const float *table;
    const float *position_table; /* may be NULL */
    float *y;
    const float *dy;
    float *dtable;
    float *dposition_table;
} embedding_job;

static void embed_row(const embedding_job *job, int64_t row, tile_range columns) {
    const int64_t channels = job->desc->channels;
    const float *token = job->table + job->ids[row] * channels;
    float *y = job->y + row * channels;
    if (job->position_table == NULL) {
        memcpy(y + columns.begin, token + columns.begin, (size_t) (columns.end - columns.begin) * sizeof *y);
        return;
    }
    const float *position = job->position_table + row % job->desc->length * channels;
    for (int64_t c = columns.begin; c < columns.end; c += LANES) {
        const int64_t lanes = min_i64(LANES, columns.end - c);
        vf_store_first(y + c, vf_load_first(token + c, lanes) + vf_load_first(position + c, lanes), lanes);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const embedding_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    for (int64_t row = block.rows.begin; row < block.rows.end; row++) {
        embed_row(job, row, block.columns);
    }
}

/* A task owns some channels of the whole table and meets the rows in their order. */
static void table_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const embedding_job *job = context;
    const int64_t channels = job->desc->channels;
    const int64_t rows = job->desc->batch * job->desc->length;
    const tile_range block = tile_at(task, job->task_channels, channels);
    for (int64_t row = 0; row < rows; row++) {
        float *gradient = job->dtable + job->ids[row] * channels;
        const float *dy = job->dy + row * channels;
        for (int64_t c = block.begin; c < block.end; c += LANES) {
            const int64_t lanes = min_i64(LANES, block.end - c);
            vf_store_first(gradient + c, vf_load_first(gradient + c, lanes) + vf_load_first(dy + c, lanes), lanes);
        }
    }
}

static void positions_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const embedding_job *job = context;
    const pan_embedding_desc *desc = job->desc;
    const tile_range positions = tile_at(task, job->task_positions, desc->length);
    for (int64_t t = positions.begin; t < positions.end; t++) {
        float *gradient = job->dposition_table + t * desc->channels;
        for (int64_t c = 0; c < desc->channels; c += LANES) {
            const int64_t lanes = min_i64(LANES, desc->channels - c);
            vd sum = {0};
            for (int64_t b = 0; b < desc->batch; b++) {
                const float *dy = job->dy + (b * desc->length + t) * desc->channels;
                sum = vd_add(sum, vd_from_vf(vf_load_first(dy + c, lanes)));
            }
            vf_store_first(gradient + c, vf_load_first(gradient + c, lanes) + vf_from_vd(sum), lanes);
        }
    }
}

pan_status PAN_BODY(embedding_forward)(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                       const float *table, const float *position_table, void *y) {
    embedding_job job = {.desc = desc,
                         .grid = tile_grid_of(desc->batch * desc->length, desc->channels),
                         .ids = ids,
                         .table = table,
                         .position_table = position_table,
                         .y = y};
    pan_parallel(stream->device->pool, job.grid.tasks, forward_task, &job);
    return PAN_OK;
}

pan_status PAN_BODY(embedding_backward)(pan_stream *stream, const pan_embedding_desc *desc, const int32_t *ids,
                                        const void *dy, float *dtable, float *dposition_table) {
    const int64_t lines = ceil_div(tile_rows(desc->batch * desc->length), LINE_CHANNELS);
    embedding_job job = {.desc = desc,
                         .task_channels = lines * LINE_CHANNELS,
                         .task_positions = tile_rows(desc->batch * desc->channels),
                         .ids = ids,
                         .dy = dy,
                         .dtable = dtable,
                         .dposition_table = dposition_table};
    pan_pool *pool = stream->device->pool;
    if (dtable != NULL) {
        pan_parallel(pool, ceil_div(desc->channels, job.task_channels), table_task, &job);
    }
    if (dposition_table != NULL) {
        pan_parallel(pool, ceil_div(desc->length, job.task_positions), positions_task, &job);
    }
    return PAN_OK;
}
