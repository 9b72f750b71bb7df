/* The k largest elements of every row.
 *
 * The rank of the k-th largest is found bit by bit from the highest: a bit is set if k elements have at least the rank with
 * it. That takes no memory, and each of the passes over the row is a count, which vectorises. */
#include "../core/float_rank.h"

#include "tile.h"

typedef struct mask_job {
    const pan_top_k_mask_desc *desc;
    int64_t tile_rows;
    const float *x;
    float *y;
} mask_job;

static int64_t count_at_least(const float *x, int64_t columns, uint32_t rank) {
    int64_t found = 0;
    for (int64_t c = 0; c < columns; c++) {
        found += pan_rank(x[c]) >= rank;
    }
    return found;
}

/* The rank of the k-th largest of the elements that have one; 0 if they are fewer. */
static uint32_t rank_of_last(const float *x, int64_t columns, int64_t k) {
    uint32_t rank = 0;
    for (int bit = PAN_RANK_BITS - 1; bit >= 0; bit--) {
        const uint32_t higher = rank | (1u << bit);
        rank = count_at_least(x, columns, higher) >= k ? higher : rank;
    }
    return rank;
}

static void mask_row(const float *x, float *y, int64_t columns, int64_t k) {
    const uint32_t last = rank_of_last(x, columns, k);
    int64_t equals = last == 0 ? 0 : k - count_at_least(x, columns, last + 1); /* chosen ones of this rank */
    for (int64_t c = 0; c < columns; c++) {
        const uint32_t rank = pan_rank(x[c]);
        const bool chosen_equal = rank == last && equals > 0;
        equals -= chosen_equal;
        y[c] = rank > last || chosen_equal ? 1.0f : 0.0f;
    }
}

static void mask_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const mask_job *job = context;
    const int64_t columns = job->desc->columns;
    const tile_range tile = tile_at(task, job->tile_rows, job->desc->rows);
    for (int64_t r = tile.begin; r < tile.end; r++) {
        mask_row(job->x + r * columns, job->y + r * columns, columns, job->desc->k);
    }
}

pan_status PAN_BODY(top_k_mask)(pan_stream *stream, const pan_top_k_mask_desc *desc, const void *x, void *y) {
    const mask_job job = {desc, tile_rows(desc->columns * PAN_RANK_BITS), x, y};
    pan_parallel(stream->device->pool, ceil_div(desc->rows, job.tile_rows), mask_task, (void *) &job);
    return PAN_OK;
}
