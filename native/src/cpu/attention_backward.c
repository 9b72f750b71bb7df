/* Causal attention, backward: weights are recomputed tile by tile, after Dao 2023 (arXiv 2307.08691), algorithm 2. */
#include "attention_tile.h"

/* Keys of a tile. */
enum { KEY_BLOCK = 128 };
/* With fewer heads, and more than one block of keys, tasks are blocks of heads, though that recomputes tiles. */
enum { ENOUGH_HEADS = 8 };

/* Which gradients a tile adds to. */
enum { TO_QUERIES = 1, TO_KEYS = 2 };

typedef struct backward_job {
    const pan_attention_desc *desc;
    const int32_t *query_rows;
    weight_dropout dropout;
    int64_t query_blocks; /* of the head that has the most */
    int64_t key_blocks;
    int64_t heads; /* over the batch */
    int64_t task_heads;
    const float *q;
    const float *k;
    const float *v;
    const float *o;
    const float *lse;
    const float *d_o;
    float *dq;
    float *dk;
    float *dv;
    float *delta; /* as lse: D[t] = sum_c do[t,c] o[t,c] */
    char *scratch;
    int64_t worker_bytes;
} backward_job;

/* Scratch memory of a worker. */
typedef struct backward_scratch {
    float *weights; /* (QUERY_BLOCK, KEY_BLOCK): scores, then P */
    float *slopes;  /* likewise: do . v, then dp without the scale */
    float *product;
} backward_scratch;

static int64_t worker_bytes(const pan_attention_desc *desc) {
    const int64_t product = causal_scratch_floats(QUERY_BLOCK + KEY_BLOCK, desc->head_dim);
    return 2 * tile_bytes(KEY_BLOCK) + align_up(product * (int64_t) sizeof(float));
}

static int64_t delta_bytes(const pan_attention_desc *desc) {
    return align_up(statistics_count(desc) * (int64_t) sizeof(float));
}

static float dot(const float *a, const float *b, int64_t count) {
    vf sum = vf_splat(0.0f);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        sum += vf_load(a + i) * vf_load(b + i);
    }
    float rest = vf_sum(sum);
    for (; i < count; i++) {
        rest += a[i] * b[i];
    }
    return rest;
}

/* D; and zeros that tiles add to, where no tile is the first of all of its queries. */
static void begin_queries(const backward_job *job, const head_queries *queries, tile_range range) {
    const pan_attention_desc *desc = job->desc;
    const int64_t stride = query_stride(desc, &desc->o);
    for (int64_t i = range.begin; i < range.end; i++) {
        const int64_t offset = queries->o + i * stride;
        job->delta[queries->statistics + i] = dot(job->d_o + offset, job->o + offset, desc->head_dim);
    }
    if (queries->listed != NULL) {
        const int64_t q_stride = query_stride(desc, &desc->q);
        zero_rows(job->dq + queries->q + range.begin * q_stride, q_stride, range.end - range.begin, desc->head_dim);
    }
}

/* A tile: queries of a head, and keys up to the last of them that can be seen. Each query sees one of the keys, or
 * stands in a block with one that does. */
typedef struct backward_tile {
    int64_t head;
    query_block queries;
    int64_t first_key;
    int64_t keys;
    int64_t storage; /* of a row of scratch */
    bool first;      /* of all of its queries */
    int64_t k;       /* where the keys lie in k and dk, ... */
    int64_t v;       /* ... and in v and dv */
} backward_tile;

/* Turns the scores and do . v of query r into P and dp of the visible keys; the others' become 0. */
static void differentiate_row(const backward_job *job, const backward_tile *tile, int64_t r, float *weights,
                              float *slopes) {
    const int64_t first_key = tile->first_key;
    const int64_t query = tile->queries.position[r];
    const int64_t visible = min_i64(tile->keys, query - first_key + 1);
    const int64_t before = min_i64(first_visible(job->desc, query) - first_key, visible);
    const uint64_t row = (uint64_t) (tile->head * job->desc->length + query);
    const weight_dropout *dropout = &job->dropout;
    const uint64_t state = dropout->random != NULL ? pan_random_row(dropout->random, dropout->key, row) : 0;
    const float lse = job->lse[tile->queries.statistics + r];
    const float delta = job->delta[tile->queries.statistics + r];
    const vf zero = vf_splat(0.0f);
    int64_t s = 0;
    for (; s < visible; s += LANES) {
        const vf p = vf_exp(vf_load(weights + s) - lse);
        const vf factor = dropout->random != NULL
                              ? vf_keep_factor(state, first_key + s, dropout->threshold, dropout->scale)
                              : vf_splat(1.0f);
        vf weight = p * factor;
        vf slope = p * (factor * vf_load(slopes + s) - delta);
        if (s + LANES > visible) {
            const vi lanes = score_lanes(s, visible);
            weight = vf_select(lanes, weight, zero);
            slope = vf_select(lanes, slope, zero);
        }
        vf_store(weights + s, weight);
        vf_store(slopes + s, slope);
    }
    memset(weights + s, 0, (size_t) (tile->storage - s) * sizeof *weights);
    memset(slopes + s, 0, (size_t) (tile->storage - s) * sizeof *slopes);
    if (before > 0) {
        memset(weights, 0, (size_t) before * sizeof *weights);
        memset(slopes, 0, (size_t) before * sizeof *slopes);
    }
    if (first_visible(job->desc, query) == query && query - first_key < visible) {
        /* A softmax over one key is constant: its slope is 0, not the rounding error of do . v - D. NaN stays NaN. */
        slopes[query - first_key] *= 0.0f;
    }
}

/* The first block of keys that a query sees. */
static int64_t first_key_block(const backward_job *job, int64_t position) {
    return first_visible(job->desc, position) / KEY_BLOCK;
}

/* The queries of a range with the keys of a block. */
static backward_tile tile_of(const backward_job *job, int64_t head, const head_queries *queries, tile_range range,
                             int64_t key_block) {
    const pan_attention_desc *desc = job->desc;
    const int64_t first_key = key_block * KEY_BLOCK;
    backward_tile tile = {.head = head,
                          .queries = query_block_of(desc, queries, range),
                          .first_key = first_key,
                          .k = head_offset(desc, &desc->k, head) + first_key * key_stride(desc, &desc->k),
                          .v = head_offset(desc, &desc->v, head) + first_key * key_stride(desc, &desc->v)};
    tile.keys = min_i64(KEY_BLOCK, tile.queries.position[tile.queries.count - 1] + 1 - first_key);
    tile.storage = score_storage(tile.keys);
    tile.first = queries->listed == NULL && key_block == first_key_block(job, tile.queries.position[0]);
    return tile;
}

static void recompute(const backward_job *job, const backward_tile *tile, const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    const query_block *queries = &tile->queries;
    pan_gemm(false, true, queries->count, tile->keys, desc->head_dim, desc->scale, job->q + queries->q,
             query_stride(desc, &desc->q), job->k + tile->k, key_stride(desc, &desc->k), 0.0f, scratch->weights,
             tile->storage);
    pan_gemm(false, true, queries->count, tile->keys, desc->head_dim, 1.0f, job->d_o + queries->o,
             query_stride(desc, &desc->o), job->v + tile->v, key_stride(desc, &desc->v), 0.0f, scratch->slopes,
             tile->storage);
    for (int64_t r = 0; r < queries->count; r++) {
        differentiate_row(job, tile, r, scratch->weights + r * tile->storage, scratch->slopes + r * tile->storage);
    }
}

/* dq (+)= scale dp k */
static void add_to_queries(const backward_job *job, const backward_tile *tile, const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    const causal_product product = {.m = tile->queries.count,
                                    .n = desc->head_dim,
                                    .k = tile->keys,
                                    .position = tile->queries.position,
                                    .window = attention_window(desc),
                                    .first_key = tile->first_key,
                                    .alpha = desc->scale,
                                    .beta = tile->first ? 0.0f : 1.0f,
                                    .w = scratch->slopes,
                                    .w_stride = tile->storage,
                                    .x = job->k + tile->k,
                                    .x_stride = key_stride(desc, &desc->k),
                                    .c = job->dq + tile->queries.q,
                                    .c_stride = query_stride(desc, &desc->q)};
    causal_multiply(&product, scratch->product);
}

/* dv += P^T do, dk += scale dp^T q */
static void add_to_keys(const backward_job *job, const backward_tile *tile, const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    causal_product product = {.transposed = true,
                              .m = tile->keys,
                              .n = desc->head_dim,
                              .k = tile->queries.count,
                              .position = tile->queries.position,
                              .window = attention_window(desc),
                              .first_key = tile->first_key,
                              .alpha = 1.0f,
                              .beta = 1.0f,
                              .w = scratch->weights,
                              .w_stride = tile->storage,
                              .x = job->d_o + tile->queries.o,
                              .x_stride = query_stride(desc, &desc->o),
                              .c = job->dv + tile->v,
                              .c_stride = key_stride(desc, &desc->v)};
    causal_multiply(&product, scratch->product);
    product.alpha = desc->scale;
    product.w = scratch->slopes;
    product.x = job->q + tile->queries.q;
    product.x_stride = query_stride(desc, &desc->q);
    product.c = job->dk + tile->k;
    product.c_stride = key_stride(desc, &desc->k);
    causal_multiply(&product, scratch->product);
}

/* All tiles of a block of keys; its rows of dk and dv. */
static void key_block_pass(const backward_job *job, int64_t head, const head_queries *queries, int64_t block,
                           int targets, const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    const tile_range keys = tile_at(block, KEY_BLOCK, desc->length);
    const int64_t k_stride = key_stride(desc, &desc->k), v_stride = key_stride(desc, &desc->v);
    const int64_t k = head_offset(desc, &desc->k, head) + keys.begin * k_stride;
    const int64_t v = head_offset(desc, &desc->v, head) + keys.begin * v_stride;
    zero_rows(job->dk + k, k_stride, keys.end - keys.begin, desc->head_dim);
    zero_rows(job->dv + v, v_stride, keys.end - keys.begin, desc->head_dim);
    const tile_range seeing = queries_seeing(desc, queries, keys);
    for (int64_t i = seeing.begin; i < seeing.end; i += QUERY_BLOCK) {
        const tile_range range = {i, min_i64(i + QUERY_BLOCK, seeing.end)};
        const backward_tile tile = tile_of(job, head, queries, range, block);
        recompute(job, &tile, scratch);
        add_to_keys(job, &tile, scratch);
        if (targets & TO_QUERIES) {
            add_to_queries(job, &tile, scratch);
        }
    }
}

static backward_scratch scratch_of(const backward_job *job, int32_t worker) {
    const int64_t tile_floats = tile_bytes(KEY_BLOCK) / (int64_t) sizeof(float);
    float *scratch = (float *) (job->scratch + worker * job->worker_bytes);
    return (backward_scratch){scratch, scratch + tile_floats, scratch + 2 * tile_floats};
}

/* Everything of some heads. */
static void head_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const backward_scratch scratch = scratch_of(job, worker);
    const tile_range heads = tile_at(task, job->task_heads, job->heads);
    for (int64_t head = heads.begin; head < heads.end; head++) {
        const head_queries queries = queries_of(job->desc, job->query_rows, head);
        begin_queries(job, &queries, (tile_range){0, queries.count});
        for (int64_t block = 0; block < job->key_blocks; block++) {
            key_block_pass(job, head, &queries, block, TO_QUERIES | TO_KEYS, &scratch);
        }
    }
}

/* D and dq of a block of queries, the longest first. */
static void query_block_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const backward_scratch scratch = scratch_of(job, worker);
    const int64_t head = task / job->query_blocks;
    const head_queries queries = queries_of(job->desc, job->query_rows, head);
    const tile_range range = tile_at(job->query_blocks - 1 - task % job->query_blocks, QUERY_BLOCK, queries.count);
    if (range.begin >= range.end) {
        return;
    }
    begin_queries(job, &queries, range);
    const int64_t last_key = query_position(&queries, range.end - 1);
    for (int64_t block = first_key_block(job, query_position(&queries, range.begin)); block * KEY_BLOCK <= last_key;
         block++) {
        const tile_range keys = tile_at(block, KEY_BLOCK, job->desc->length);
        const tile_range seeing = tile_overlap(range, queries_seeing(job->desc, &queries, keys));
        if (seeing.begin < seeing.end) {
            const backward_tile tile = tile_of(job, head, &queries, seeing, block);
            recompute(job, &tile, &scratch);
            add_to_queries(job, &tile, &scratch);
        }
    }
}

/* dk and dv of a block of keys. */
static void key_block_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const backward_scratch scratch = scratch_of(job, worker);
    const int64_t head = task / job->key_blocks;
    const head_queries queries = queries_of(job->desc, job->query_rows, head);
    key_block_pass(job, head, &queries, task % job->key_blocks, TO_KEYS, &scratch);
}

pan_status PAN_BODY(attention_backward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                       int64_t *bytes) {
    *bytes = delta_bytes(desc) + pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(attention_backward)(pan_stream *stream, const pan_attention_desc *desc,
                                        const pan_random_state *random, const int32_t *query_rows, const void *q,
                                        const void *k, const void *v, const void *o, const float *lse, const void *d_o,
                                        void *dq, void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    backward_job job = {.desc = desc,
                        .query_rows = query_rows,
                        .dropout = dropout_of(desc, random),
                        .query_blocks = ceil_div(most_queries(desc, query_rows), QUERY_BLOCK),
                        .key_blocks = ceil_div(desc->length, KEY_BLOCK),
                        .heads = desc->batch * desc->heads,
                        .task_heads = heads_per_task(desc, 5),
                        .q = q,
                        .k = k,
                        .v = v,
                        .o = o,
                        .lse = lse,
                        .d_o = d_o,
                        .dq = dq,
                        .dk = dk,
                        .dv = dv,
                        .delta = workspace,
                        .scratch = (char *) workspace + delta_bytes(desc),
                        .worker_bytes = worker_bytes(desc)};
    if (job.heads < ENOUGH_HEADS && job.key_blocks > 1) {
        pan_parallel(pool, job.heads * job.query_blocks, query_block_task, &job);
        pan_parallel(pool, job.heads * job.key_blocks, key_block_task, &job);
    } else {
        pan_parallel(pool, ceil_div(job.heads, job.task_heads), head_task, &job);
    }
    return PAN_OK;
}
