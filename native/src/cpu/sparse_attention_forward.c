/* Sparse attention, forward. A query sees so few keys that its scores fit in a row, so the softmax needs no second try. */
#include "sparse_attention.h"

typedef struct forward_job {
    const sparse_desc *desc;
    const int32_t *blocks;
    const float *q;
    const float *k;
    const float *v;
    float *o;
    float *lse;
    int64_t task_queries;
    int64_t tiles; /* of queries, of a head */
    char *scratch;
    int64_t worker_bytes;
} forward_job;

static int64_t worker_bytes(const sparse_desc *desc) {
    return seen_bytes(desc) + align_up(group_heads(desc) * seen_storage(desc) * (int64_t) sizeof(float));
}

/* What a query without keys has; and the row of a later one. */
static void begin_query(const forward_job *job, const sparse_head *head, int64_t query) {
    const sparse_desc *desc = job->desc;
    const int64_t ahead = min_i64(query + FETCH_AHEAD, desc->length - 1);
    for (int64_t g = 0; g < group_heads(desc); g++) {
        fetch_row(job->q + query_at(head, desc, g, ahead), desc->head_dim);
        memset(job->o + output_at(head, desc, g, query), 0, (size_t) desc->head_dim * sizeof *job->o);
        job->lse[statistic_at(head, desc, g, query)] = -INFINITY;
    }
}

/* Replaces a row of scores by weights; returns what their sum is to be divided by. */
static float weigh(float *scores, int64_t count, float *lse) {
    const float shift = score_shift(score_max(scores, count, -INFINITY));
    const float sum = score_exp(scores, count, shift);
    *lse = shift + logf(sum);
    return sum;
}

static void forward_query(const forward_job *job, const sparse_head *head, int64_t query, int32_t *seen,
                          float *scores) {
    const sparse_desc *desc = job->desc;
    const int64_t heads = group_heads(desc), storage = seen_storage(desc), columns = desc->head_dim;
    const int64_t count = list_seen(desc, head, job->blocks, query, (tile_range){0, desc->first + desc->length}, seen);
    const listed_rows k = {job->k + head->k, desc->k.length_stride, columns, seen, count};
    const listed_rows v = {job->v + head->v, desc->v.length_stride, columns, seen, count};
    begin_query(job, head, query);
    if (count == 0) {
        return;
    }
    for (int64_t first = 0; first < count; first += KEY_PART) {
        const listed_rows part = listed_part(&k, tile_at(first / KEY_PART, KEY_PART, count));
        for (int64_t g = 0; g < heads; g++) {
            dot_rows(job->q + query_at(head, desc, g, query), &part, desc->scale, scores + g * storage + first);
        }
    }
    for (int64_t g = 0; g < heads; g++) {
        const float sum = weigh(scores + g * storage, count, &job->lse[statistic_at(head, desc, g, query)]);
        for (int64_t i = 0; i < count; i += LANES) {
            vf_store(scores + g * storage + i, vf_load(scores + g * storage + i) * (1.0f / sum));
        }
    }
    for (int64_t first = 0; first < count; first += KEY_PART) {
        const listed_rows part = listed_part(&v, tile_at(first / KEY_PART, KEY_PART, count));
        for (int64_t g = 0; g < heads; g++) {
            add_rows(scores + g * storage + first, &part, job->o + output_at(head, desc, g, query));
        }
    }
}

/* Neighbouring queries of the heads that have keys in common. */
static void forward_task(void *context, int64_t task, int32_t worker) {
    const forward_job *job = context;
    const sparse_head head = sparse_head_of(job->desc, task / job->tiles);
    const tile_range queries = tile_at(task % job->tiles, job->task_queries, job->desc->length);
    char *scratch = job->scratch + worker * job->worker_bytes;
    for (int64_t query = queries.begin; query < queries.end; query++) {
        forward_query(job, &head, query, (int32_t *) scratch, (float *) (scratch + seen_bytes(job->desc)));
    }
}

typedef struct copy_job {
    const sparse_desc *desc;
    const float *from;
    const pan_head_layout *from_layout;
    float *to;
    const pan_head_layout *to_layout;
    int64_t task_rows;
    int64_t tiles; /* of a sequence */
} copy_job;

static void copy_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const copy_job *job = context;
    const sparse_desc *desc = job->desc;
    const pan_head_layout *from = job->from_layout, *to = job->to_layout;
    const int64_t b = task / job->tiles;
    const tile_range rows = tile_at(task % job->tiles, job->task_rows, desc->first + desc->length);
    for (int64_t s = rows.begin; s < rows.end; s++) {
        for (int64_t h = 0; h < desc->kv_heads; h++) {
            memcpy(job->to + b * to->batch_stride + h * to->head_stride + s * to->length_stride,
                   job->from + b * from->batch_stride + h * from->head_stride + s * from->length_stride,
                   (size_t) desc->head_dim * sizeof *job->to);
        }
    }
}

void copy_keys(pan_pool *pool, const sparse_desc *desc, const float *from, const pan_head_layout *from_layout,
               float *to, const pan_head_layout *to_layout) {
    copy_job job = {.desc = desc,
                    .from = from,
                    .from_layout = from_layout,
                    .to = to,
                    .to_layout = to_layout,
                    .task_rows = tile_rows(desc->kv_heads * desc->head_dim)};
    job.tiles = ceil_div(desc->first + desc->length, job.task_rows);
    pan_parallel(pool, desc->batch * job.tiles, copy_task, &job);
}

pan_status PAN_BODY(sparse_attention_forward_workspace_size)(pan_stream *stream, const sparse_desc *desc,
                                                             int64_t *bytes) {
    *bytes = 2 * copy_bytes(desc) + pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(sparse_attention_forward)(pan_stream *stream, const sparse_desc *desc, const int32_t *blocks,
                                              const void *q, const void *k, const void *v, void *o, float *lse,
                                              void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    sparse_desc used = *desc;
    if (wants_copies(desc)) {
        used.k = used.v = copied_layout(desc);
        float *k_copy = workspace, *v_copy = k_copy + copy_bytes(desc) / (int64_t) sizeof(float);
        copy_keys(pool, desc, k, &desc->k, k_copy, &used.k);
        copy_keys(pool, desc, v, &desc->v, v_copy, &used.v);
        k = k_copy;
        v = v_copy;
    }
    forward_job job = {.desc = &used,
                       .blocks = blocks,
                       .q = q,
                       .k = k,
                       .v = v,
                       .o = o,
                       .lse = lse,
                       .task_queries = sparse_task_queries(desc, 2),
                       .scratch = (char *) workspace + 2 * copy_bytes(desc),
                       .worker_bytes = worker_bytes(desc)};
    job.tiles = ceil_div(desc->length, job.task_queries);
    pan_parallel(pool, desc->batch * desc->kv_heads * job.tiles, forward_task, &job);
    return PAN_OK;
}
