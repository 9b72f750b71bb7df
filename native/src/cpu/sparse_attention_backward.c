/* Sparse attention, backward. Weights are recomputed from lse, so keys can be taken in any parts: a few at a time, for all
 * heads that share them. Sums over queries are in the queries' order. */
#include "sparse_attention.h"

/* With fewer heads of keys tasks are ranges of queries and ranges of keys, though that recomputes weights. */
enum { ENOUGH_HEADS = 8, MOST_KEY_RANGES = 16, LEAST_RANGE_KEYS = 64 };

/* Which gradients are wanted. */
enum { TO_QUERIES = 1, TO_KEYS = 2 };

typedef struct backward_job {
    const sparse_desc *desc;
    const int32_t *blocks;
    const float *q;
    const float *k;
    const float *v;
    const float *o;
    const float *lse;
    const float *d_o;
    const float *d_lse; /* or NULL */
    float *dq;
    float *dk;
    float *dv;
    int64_t heads; /* of keys, over the batch */
    int64_t task_heads;
    int64_t task_queries;
    int64_t tiles; /* of queries, of a head */
    int64_t range_keys;
    int64_t ranges; /* of keys, of a head */
    float *delta;   /* as lse: D */
    char *scratch;
    int64_t worker_bytes;
} backward_job;

static int64_t delta_bytes(const sparse_desc *desc) {
    return align_up(desc->batch * desc->heads * desc->length * (int64_t) sizeof(float));
}

/* D; and zeros for sums over keys. A query with a single key has o = v and do . v = D to the last bit: a softmax over one key
 * is constant, and its slope is 0 and no rounding error. */
static void begin_query(const backward_job *job, const sparse_head *head, int64_t t) {
    const sparse_desc *desc = job->desc;
    const int64_t ahead = min_i64(t + FETCH_AHEAD, desc->length - 1);
    for (int64_t g = 0; g < group_heads(desc); g++) {
        fetch_row(job->o + output_at(head, desc, g, ahead), desc->head_dim);
        const int64_t o = output_at(head, desc, g, t), statistic = statistic_at(head, desc, g, t);
        job->delta[statistic] = dot_row(job->d_o + o, job->o + o, desc->head_dim);
        memset(job->dq + query_at(head, desc, g, t), 0, (size_t) desc->head_dim * sizeof *job->dq);
    }
}

/* A query, and some of the keys that it sees. */
typedef struct query_keys {
    int64_t t;
    listed_rows k;
    listed_rows v;
} query_keys;

/* Replaces scores by p and do . v by scale * dp. */
static void differentiate(const backward_job *job, int64_t statistic, int64_t count, float *weights, float *slopes) {
    const float lse = job->lse[statistic], delta = job->delta[statistic], scale = job->desc->scale;
    const float d_lse = job->d_lse == NULL ? 0.0f : job->d_lse[statistic];
    for (int64_t i = 0; i < count; i += LANES) {
        const vf p = vf_exp(vf_load(weights + i) - lse);
        vf_store(weights + i, p);
        vf_store(slopes + i, scale * p * ((vf_load(slopes + i) - delta) + d_lse));
    }
}

static void add_gradients(const backward_job *job, const sparse_head *head, const query_keys *keys, int64_t g,
                          int targets) {
    const sparse_desc *desc = job->desc;
    const int64_t q = query_at(head, desc, g, keys->t), o = output_at(head, desc, g, keys->t);
    float weights[KEY_PART], slopes[KEY_PART];
    dot_rows(job->q + q, &keys->k, desc->scale, weights);
    dot_rows(job->d_o + o, &keys->v, 1.0f, slopes);
    differentiate(job, statistic_at(head, desc, g, keys->t), keys->k.count, weights, slopes);
    if (targets & TO_QUERIES) {
        add_rows(slopes, &keys->k, job->dq + q);
    }
    if (targets & TO_KEYS) {
        add_to_rows(slopes, job->q + q, &keys->k, job->dk + head->k);
        add_to_rows(weights, job->d_o + o, &keys->v, job->dv + head->v);
    }
}

/* What query t gives, with the keys of a range. */
static void backward_query(const backward_job *job, const sparse_head *head, int64_t t, tile_range range, int targets,
                           int32_t *seen) {
    const sparse_desc *desc = job->desc;
    const int64_t ahead = min_i64(t + FETCH_AHEAD, desc->length - 1);
    const int64_t count = list_seen(desc, head, job->blocks, t, range, seen);
    for (int64_t g = 0; g < group_heads(desc) && count > 0; g++) {
        fetch_row(job->q + query_at(head, desc, g, ahead), desc->head_dim);
        fetch_row(job->d_o + output_at(head, desc, g, ahead), desc->head_dim);
    }
    const listed_rows k = {job->k + head->k, desc->k.length_stride, desc->head_dim, seen, count};
    const listed_rows v = {job->v + head->v, desc->v.length_stride, desc->head_dim, seen, count};
    for (int64_t part = 0; part * KEY_PART < count; part++) {
        const tile_range rows = tile_at(part, KEY_PART, count);
        const query_keys keys = {t, listed_part(&k, rows), listed_part(&v, rows)};
        for (int64_t g = 0; g < group_heads(desc); g++) {
            add_gradients(job, head, &keys, g, targets);
        }
    }
}

static void clear_keys(const backward_job *job, const sparse_head *head, tile_range range) {
    const sparse_desc *desc = job->desc;
    for (int64_t s = range.begin; s < range.end; s++) {
        memset(job->dk + head->k + s * desc->k.length_stride, 0, (size_t) desc->head_dim * sizeof *job->dk);
        memset(job->dv + head->v + s * desc->v.length_stride, 0, (size_t) desc->head_dim * sizeof *job->dv);
    }
}

static int32_t *seen_of(const backward_job *job, int32_t worker) {
    return (int32_t *) (job->scratch + worker * job->worker_bytes);
}

/* Everything of some heads. */
static void head_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const tile_range heads = tile_at(task, job->task_heads, job->heads), all = {0, job->desc->length};
    for (int64_t index = heads.begin; index < heads.end; index++) {
        const sparse_head head = sparse_head_of(job->desc, index);
        clear_keys(job, &head, all);
        for (int64_t t = 0; t < job->desc->length; t++) {
            begin_query(job, &head, t);
            backward_query(job, &head, t, all, TO_QUERIES | TO_KEYS, seen_of(job, worker));
        }
    }
}

/* dq of neighbouring queries. */
static void query_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const sparse_head head = sparse_head_of(job->desc, task / job->tiles);
    const tile_range queries = tile_at(task % job->tiles, job->task_queries, job->desc->length);
    for (int64_t t = queries.begin; t < queries.end; t++) {
        begin_query(job, &head, t);
        backward_query(job, &head, t, (tile_range){0, job->desc->length}, TO_QUERIES, seen_of(job, worker));
    }
}

/* dk and dv of neighbouring keys. */
static void key_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const sparse_desc *desc = job->desc;
    const sparse_head head = sparse_head_of(desc, task / job->ranges);
    const tile_range keys = tile_at(task % job->ranges, job->range_keys, desc->length);
    const bool window_alone = desc->lists.slots == 0 && keys.begin >= desc->globals;
    const int64_t end = window_alone ? min_i64(desc->length, keys.end + desc->window) : desc->length;
    clear_keys(job, &head, keys);
    for (int64_t t = keys.begin; t < end; t++) {
        backward_query(job, &head, t, keys, TO_KEYS, seen_of(job, worker));
    }
}

pan_status PAN_BODY(sparse_attention_backward_workspace_size)(pan_stream *stream, const sparse_desc *desc,
                                                              int64_t *bytes) {
    *bytes = 4 * copy_bytes(desc) + delta_bytes(desc) + pan_pool_threads(stream->device->pool) * seen_bytes(desc);
    return PAN_OK;
}

/* Lets the job work on copies of k and v, and on dk and dv that lie like them. */
static void take_copies(pan_pool *pool, const sparse_desc *desc, float *memory, sparse_desc *used, backward_job *job) {
    const int64_t floats = copy_bytes(desc) / (int64_t) sizeof *memory;
    used->k = used->v = copied_layout(desc);
    copy_keys(pool, desc, job->k, &desc->k, memory, &used->k);
    copy_keys(pool, desc, job->v, &desc->v, memory + floats, &used->v);
    job->k = memory;
    job->v = memory + floats;
    job->dk = memory + 2 * floats;
    job->dv = memory + 3 * floats;
}

pan_status PAN_BODY(sparse_attention_backward)(pan_stream *stream, const sparse_desc *desc, const int32_t *blocks,
                                               const void *q, const void *k, const void *v, const void *o,
                                               const float *lse, const void *d_o, const float *d_lse, void *dq,
                                               void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    sparse_desc used = *desc;
    char *memory = (char *) workspace + 4 * copy_bytes(desc);
    backward_job job = {.desc = &used,
                        .blocks = blocks,
                        .q = q,
                        .k = k,
                        .v = v,
                        .o = o,
                        .lse = lse,
                        .d_o = d_o,
                        .d_lse = d_lse,
                        .dq = dq,
                        .dk = dk,
                        .dv = dv,
                        .heads = desc->batch * desc->kv_heads,
                        .task_queries = sparse_task_queries(desc, 3),
                        .delta = (float *) memory,
                        .scratch = memory + delta_bytes(desc),
                        .worker_bytes = seen_bytes(desc)};
    if (wants_copies(desc)) {
        take_copies(pool, desc, workspace, &used, &job);
    }
    job.tiles = ceil_div(desc->length, job.task_queries);
    job.range_keys = ceil_div(desc->length, MOST_KEY_RANGES);
    job.range_keys = job.range_keys > LEAST_RANGE_KEYS ? job.range_keys : LEAST_RANGE_KEYS;
    job.ranges = ceil_div(desc->length, job.range_keys);
    job.task_heads = sparse_task_queries(desc, 5) / desc->length;
    job.task_heads = job.task_heads > 1 ? job.task_heads : 1;
    if (job.heads < ENOUGH_HEADS && job.ranges > 1) {
        pan_parallel(pool, job.heads * job.tiles, query_task, &job);
        pan_parallel(pool, job.heads * job.ranges, key_task, &job);
    } else {
        pan_parallel(pool, ceil_div(job.heads, job.task_heads), head_task, &job);
    }
    if (wants_copies(desc)) {
        copy_keys(pool, desc, job.dk, &used.k, dk, &desc->k);
        copy_keys(pool, desc, job.dv, &used.v, dv, &desc->v);
    }
    return PAN_OK;
}
