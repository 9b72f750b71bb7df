/* The chosen positions of selected attention. */
#ifndef PAN_CPU_SELECTED_ATTENTION_H
#define PAN_CPU_SELECTED_ATTENTION_H

#include "attention_tile.h"

static inline int64_t position_count(const pan_attention_desc *desc) {
    return desc->batch * desc->length;
}

/* Room for a list of positions, of which any number may be chosen. */
static inline int64_t list_bytes(const pan_attention_desc *desc) {
    return align_up(position_count(desc) * (int64_t) sizeof(int32_t));
}

/* Lists the chosen positions, each b * length + t, ascending; returns how many there are. */
static inline int64_t list_chosen(const pan_attention_desc *desc, const float *chosen, int32_t *list) {
    int64_t count = 0;
    for (int64_t row = 0; row < position_count(desc); row++) {
        list[count] = (int32_t) row; /* overwritten by the next one, unless it is chosen */
        count += chosen[row] != 0.0f;
    }
    return count;
}

/* As if the chosen positions were listed, with q and o as dense rows of these. */
static inline pan_attention_desc listed_desc(const pan_attention_desc *desc, int64_t count) {
    pan_attention_desc listed = *desc;
    listed.queries = count;
    listed.q = listed.o =
        (pan_head_layout){.length_stride = desc->heads * desc->head_dim, .head_stride = desc->head_dim};
    return listed;
}

/* The first element of a head of position `row`, which is counted over the batch. */
static inline int64_t row_offset(const pan_attention_desc *desc, const pan_head_layout *layout, int64_t row,
                                 int64_t h) {
    return row / desc->length * layout->batch_stride + row % desc->length * layout->length_stride +
           h * layout->head_stride;
}

/* Where a statistic of position `row` lies in lse. */
static inline int64_t statistic_of(const pan_attention_desc *desc, int64_t row, int64_t h) {
    return (row / desc->length * desc->heads + h) * desc->length + row % desc->length;
}

/* Positions that a task clears or copies. */
static inline int64_t task_rows(const pan_attention_desc *desc) {
    return tile_rows(desc->heads * desc->head_dim);
}

/* Gives positions that are not chosen zeros, and -Inf as their lse. */
typedef struct clear_job {
    const pan_attention_desc *desc;
    const float *chosen; /* NULL: none is */
    float *x;
    const pan_head_layout *layout; /* of x */
    float *lse;                    /* may be NULL */
} clear_job;

static inline void clear_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const clear_job *job = context;
    const pan_attention_desc *desc = job->desc;
    const tile_range rows = tile_at(task, task_rows(desc), position_count(desc));
    for (int64_t row = rows.begin; row < rows.end; row++) {
        if (job->chosen != NULL && job->chosen[row] != 0.0f) {
            continue;
        }
        for (int64_t h = 0; h < desc->heads; h++) {
            memset(job->x + row_offset(desc, job->layout, row, h), 0, (size_t) desc->head_dim * sizeof *job->x);
            if (job->lse != NULL) {
                job->lse[statistic_of(desc, row, h)] = -INFINITY;
            }
        }
    }
}

static inline void clear_unchosen(pan_pool *pool, const pan_attention_desc *desc, const float *chosen, float *x,
                                  const pan_head_layout *layout, float *lse) {
    clear_job job = {desc, chosen, x, layout, lse};
    pan_parallel(pool, ceil_div(position_count(desc), task_rows(desc)), clear_task, &job);
}

#endif
