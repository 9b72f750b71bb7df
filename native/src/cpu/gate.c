/* Gating: an activation, a product and a sum in one pass over strided rows. */
#include "activation.h"

typedef struct gate_job {
    pan_gate_desc desc;
    tile_grid grid;
    const float *a;
    const float *b;
    const float *c;  /* may be NULL */
    const float *dy; /* backward */
    float *y;        /* forward */
    float *da;       /* backward; may be NULL, as db */
    float *db;
} gate_job;

/* Rows that follow each other without gaps are one long row. */
static tile_grid gate_grid(const pan_gate_desc *desc, bool with_c) {
    const int64_t channels = desc->channels;
    const bool dense = desc->a_stride == channels && desc->b_stride == channels && desc->y_stride == channels &&
                       (!with_c || desc->c_stride == channels);
    return dense ? tile_grid_of(1, desc->rows * channels) : tile_grid_of(desc->rows, channels);
}

PAN_INLINE void forward_row(pan_activation kind, const float *a, const float *b, const float *c, float *y,
                            int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t lanes = min_i64(LANES, count - i);
        const vf gated = activate(kind, vf_load_first(a + i, lanes)).value * vf_load_first(b + i, lanes);
        vf_store_first(y + i, c == NULL ? gated : gated + vf_load_first(c + i, lanes), lanes);
    }
}

PAN_INLINE void forward_block(pan_activation kind, const gate_job *job, const tile_block *block) {
    const pan_gate_desc *desc = &job->desc;
    const int64_t first = block->columns.begin;
    const int64_t count = block->columns.end - first;
    for (int64_t r = block->rows.begin; r < block->rows.end; r++) {
        const float *a = job->a + r * desc->a_stride + first;
        const float *b = job->b + r * desc->b_stride + first;
        float *y = job->y + r * desc->y_stride + first;
        if (job->c == NULL) {
            forward_row(kind, a, b, NULL, y, count);
        } else {
            forward_row(kind, a, b, job->c + r * desc->c_stride + first, y, count);
        }
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const gate_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    PAN_WITH_ACTIVATION(job->desc.activation, forward_block, job, &block)
}

PAN_INLINE void backward_row(pan_activation kind, const float *a, const float *b, const float *dy, float *da, float *db,
                             int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t lanes = min_i64(LANES, count - i);
        const vf_activation f = activate(kind, vf_load_first(a + i, lanes));
        const vf gradient = vf_load_first(dy + i, lanes);
        if (da != NULL) {
            vf_store_first(da + i, f.slope * vf_load_first(b + i, lanes) * gradient, lanes);
        }
        if (db != NULL) {
            vf_store_first(db + i, f.value * gradient, lanes);
        }
    }
}

PAN_INLINE void backward_block(pan_activation kind, const gate_job *job, const tile_block *block) {
    const pan_gate_desc *desc = &job->desc;
    const int64_t first = block->columns.begin;
    const int64_t count = block->columns.end - first;
    for (int64_t r = block->rows.begin; r < block->rows.end; r++) {
        const float *a = job->a + r * desc->a_stride + first;
        const float *b = job->b + r * desc->b_stride + first;
        const float *dy = job->dy + r * desc->y_stride + first;
        float *da = job->da == NULL ? NULL : job->da + r * desc->a_stride + first;
        float *db = job->db == NULL ? NULL : job->db + r * desc->b_stride + first;
        backward_row(kind, a, b, dy, da, db, count);
    }
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const gate_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    PAN_WITH_ACTIVATION(job->desc.activation, backward_block, job, &block)
}

pan_status PAN_BODY(gate_forward)(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b,
                                  const void *c, void *y) {
    gate_job job = {.desc = *desc, .grid = gate_grid(desc, c != NULL), .a = a, .b = b, .c = c, .y = y};
    pan_parallel(stream->device->pool, job.grid.tasks, forward_task, &job);
    return PAN_OK;
}

pan_status PAN_BODY(gate_backward)(pan_stream *stream, const pan_gate_desc *desc, const void *a, const void *b,
                                   const void *dy, void *da, void *db) {
    gate_job job = {.desc = *desc, .grid = gate_grid(desc, false), .a = a, .b = b, .dy = dy, .da = da, .db = db};
    pan_parallel(stream->device->pool, job.grid.tasks, backward_task, &job);
    return PAN_OK;
}
