/* Attention of chosen queries, backward: their rows are copied side by side, for attention of listed queries. */
#include "selected_attention.h"

/* Rows of the chosen queries, as attention of listed queries has them. */
typedef struct chosen_rows {
    float *q;
    float *o;
    float *d_o;
    float *dq;
    float *lse;
} chosen_rows;

typedef struct copy_job {
    const pan_attention_desc *desc;
    const int32_t *list;
    int64_t count;
    chosen_rows rows;
    const float *q;
    const float *o;
    const float *d_o;
    const float *lse;
    float *dq;
} copy_job;

static int64_t row_array_bytes(const pan_attention_desc *desc) {
    return align_up(position_count(desc) * desc->heads * desc->head_dim * (int64_t) sizeof(float));
}

static int64_t rows_bytes(const pan_attention_desc *desc) {
    return 4 * row_array_bytes(desc) + align_up(position_count(desc) * desc->heads * (int64_t) sizeof(float));
}

static chosen_rows rows_in(const pan_attention_desc *desc, char *memory) {
    const int64_t bytes = row_array_bytes(desc);
    return (chosen_rows){(float *) memory, (float *) (memory + bytes), (float *) (memory + 2 * bytes),
                         (float *) (memory + 3 * bytes), (float *) (memory + 4 * bytes)};
}

static void take_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const copy_job *job = context;
    const pan_attention_desc *desc = job->desc;
    const size_t bytes = (size_t) desc->head_dim * sizeof(float);
    const tile_range entries = tile_at(task, task_rows(desc), job->count);
    for (int64_t i = entries.begin; i < entries.end; i++) {
        const int64_t row = job->list[i];
        for (int64_t h = 0; h < desc->heads; h++) {
            const int64_t to = (i * desc->heads + h) * desc->head_dim, o = row_offset(desc, &desc->o, row, h);
            memcpy(job->rows.q + to, job->q + row_offset(desc, &desc->q, row, h), bytes);
            memcpy(job->rows.o + to, job->o + o, bytes);
            memcpy(job->rows.d_o + to, job->d_o + o, bytes);
            job->rows.lse[h * job->count + i] = job->lse[statistic_of(desc, row, h)];
        }
    }
}

static void give_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const copy_job *job = context;
    const pan_attention_desc *desc = job->desc;
    const tile_range entries = tile_at(task, task_rows(desc), job->count);
    for (int64_t i = entries.begin; i < entries.end; i++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            memcpy(job->dq + row_offset(desc, &desc->q, job->list[i], h),
                   job->rows.dq + (i * desc->heads + h) * desc->head_dim, (size_t) desc->head_dim * sizeof(float));
        }
    }
}

pan_status PAN_BODY(selected_attention_backward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                                int64_t *bytes) {
    const pan_attention_desc listed = listed_desc(desc, position_count(desc));
    pan_status status = PAN_BODY(attention_backward_workspace_size)(stream, &listed, bytes);
    *bytes += list_bytes(desc) + rows_bytes(desc);
    return status;
}

pan_status PAN_BODY(selected_attention_backward)(pan_stream *stream, const pan_attention_desc *desc,
                                                 const pan_random_state *random, const void *chosen, const void *q,
                                                 const void *k, const void *v, const void *o, const float *lse,
                                                 const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                                 int64_t workspace_bytes) {
    pan_pool *pool = stream->device->pool;
    int32_t *list = workspace;
    copy_job job = {.desc = desc,
                    .list = list,
                    .count = list_chosen(desc, chosen, list),
                    .rows = rows_in(desc, (char *) workspace + list_bytes(desc)),
                    .q = q,
                    .o = o,
                    .d_o = d_o,
                    .lse = lse,
                    .dq = dq};
    clear_unchosen(pool, desc, chosen, dq, &desc->q, NULL);
    if (job.count == 0) {
        clear_unchosen(pool, desc, NULL, dk, &desc->k, NULL);
        clear_unchosen(pool, desc, NULL, dv, &desc->v, NULL);
        return PAN_OK;
    }
    const int64_t tasks = ceil_div(job.count, task_rows(desc));
    const pan_attention_desc listed = listed_desc(desc, job.count);
    const int64_t used = list_bytes(desc) + rows_bytes(desc);
    pan_parallel(pool, tasks, take_task, &job);
    const pan_status status = PAN_BODY(attention_backward)(stream, &listed, random, list, job.rows.q, k, v, job.rows.o,
                                                           job.rows.lse, job.rows.d_o, job.rows.dq, dk, dv,
                                                           (char *) workspace + used, workspace_bytes - used);
    pan_parallel(pool, tasks, give_task, &job);
    return status;
}
