/* Element-by-element arithmetic with broadcasting: forward. */
#include "arithmetic.h"

typedef struct arithmetic_job {
    pan_arithmetic_kind kind;
    space outer;
    axis row;
    tile_grid grid; /* rows of outer, columns of row */
    const float *a;
    const float *b;
    float *y;
} arithmetic_job;

PAN_INLINE vf combine(pan_arithmetic_kind kind, vf a, vf b) {
    switch (kind) {
    case PAN_SUBTRACT: return a - b;
    case PAN_MULTIPLY: return a * b;
    case PAN_DIVIDE: return a / b;
    case PAN_MAXIMUM: return vf_select((a > b) | (a != a), a, b);
    default: return a + b;
    }
}

PAN_INLINE void combine_block(pan_arithmetic_kind kind, const arithmetic_job *job, const tile_block *block) {
    cursor at = cursor_at(&job->outer, block->rows.begin);
    for (int64_t r = block->rows.begin; r < block->rows.end; r++) {
        const float *a = job->a + at.a;
        const float *b = job->b + at.b;
        float *y = job->y + at.y;
        for (int64_t i = block->columns.begin; i < block->columns.end; i += LANES) {
            const int64_t lanes = min_i64(LANES, block->columns.end - i);
            const vf left = load_operand(a, job->row.a, i, lanes);
            vf_store_first(y + i, combine(kind, left, load_operand(b, job->row.b, i, lanes)), lanes);
        }
        cursor_advance(&job->outer, &at);
    }
}

static void combine_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const arithmetic_job *job = context;
    const tile_block block = tile_block_at(&job->grid, task);
    switch (job->kind) {
    case PAN_SUBTRACT: combine_block(PAN_SUBTRACT, job, &block); break;
    case PAN_MULTIPLY: combine_block(PAN_MULTIPLY, job, &block); break;
    case PAN_DIVIDE: combine_block(PAN_DIVIDE, job, &block); break;
    case PAN_MAXIMUM: combine_block(PAN_MAXIMUM, job, &block); break;
    default: combine_block(PAN_ADD, job, &block); break;
    }
}

pan_status PAN_BODY(arithmetic_forward)(pan_stream *stream, const pan_arithmetic_desc *desc, const void *a,
                                        const void *b, void *y) {
    arithmetic_job job = {.kind = desc->kind, .a = a, .b = b, .y = y};
    collapse(desc, &job.outer, &job.row);
    job.grid = tile_grid_of(space_size(&job.outer), job.row.extent);
    pan_parallel(stream->device->pool, job.grid.tasks, combine_task, &job);
    return PAN_OK;
}
