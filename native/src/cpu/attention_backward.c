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
    weight_dropout dropout;
    int64_t query_blocks;
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
    float *delta; /* (batch, heads, length): D[t] = sum_c do[t,c] o[t,c] */
    char *scratch;
    int64_t worker_bytes;
} backward_job;

/* Scratch memory of a worker. */
typedef struct backward_scratch {
    float *weights; /* (QUERY_BLOCK, KEY_BLOCK): scores, then P */
    float *slopes;  /* likewise: do . v, then dp without the scale */
    float *product;
} backward_scratch;

/* The rows of one array of one head. */
typedef struct head_rows {
    int64_t offset;
    int64_t stride;
} head_rows;

static head_rows rows_of(const backward_job *job, const pan_head_layout *layout, int64_t head, int64_t first) {
    const int64_t stride = row_stride(job->desc, layout);
    return (head_rows){head_offset(job->desc, layout, head) + first * stride, stride};
}

static int64_t worker_bytes(const pan_attention_desc *desc) {
    const int64_t product = causal_scratch_floats(QUERY_BLOCK + KEY_BLOCK, desc->head_dim);
    return 2 * tile_bytes(KEY_BLOCK) + align_up(product * (int64_t) sizeof(float));
}

static int64_t delta_bytes(const pan_attention_desc *desc) {
    return align_up(desc->batch * desc->heads * desc->length * (int64_t) sizeof(float));
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

static void write_delta(const backward_job *job, int64_t head, int64_t first_query, int64_t queries) {
    const pan_attention_desc *desc = job->desc;
    const head_rows rows = rows_of(job, &desc->o, head, first_query);
    float *delta = job->delta + head * desc->length + first_query;
    for (int64_t r = 0; r < queries; r++) {
        const int64_t offset = rows.offset + r * rows.stride;
        delta[r] = dot(job->d_o + offset, job->o + offset, desc->head_dim);
    }
}

/* Turns a query's scores and do . v into P and dp of the visible keys; the others' become 0. */
static void differentiate_row(const backward_job *job, int64_t row, int64_t first_key, int64_t visible, int64_t storage,
                              float *weights, float *slopes) {
    const int64_t query = row % job->desc->length;
    const int64_t before = min_i64(first_visible(job->desc, query) - first_key, visible);
    const weight_dropout *dropout = &job->dropout;
    const uint64_t state = dropout->random != NULL ? pan_random_row(dropout->random, dropout->key, (uint64_t) row) : 0;
    const float lse = job->lse[row];
    const float delta = job->delta[row];
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
    memset(weights + s, 0, (size_t) (storage - s) * sizeof *weights);
    memset(slopes + s, 0, (size_t) (storage - s) * sizeof *slopes);
    if (before > 0) {
        memset(weights, 0, (size_t) before * sizeof *weights);
        memset(slopes, 0, (size_t) before * sizeof *slopes);
    }
    if (first_visible(job->desc, query) == query && query - first_key < visible) {
        /* A softmax over one key is constant: its slope is 0, not the rounding error of do . v - D. NaN stays NaN. */
        slopes[query - first_key] *= 0.0f;
    }
}

/* A tile's queries and keys, and where they lie. */
typedef struct backward_tile {
    int64_t head;
    int64_t first_query;
    int64_t queries;
    int64_t first_key;
    int64_t keys;
    int64_t storage; /* of a row of scratch */
    bool first;      /* of its queries */
    head_rows q;
    head_rows k;
    head_rows v;
    head_rows o;
} backward_tile;

/* The first block of keys that a block of queries sees. */
static int64_t first_key_block(const backward_job *job, int64_t query_block) {
    return first_visible(job->desc, query_block * QUERY_BLOCK) / KEY_BLOCK;
}

static backward_tile tile_of(const backward_job *job, int64_t head, int64_t query_block, int64_t key_block) {
    const pan_attention_desc *desc = job->desc;
    const tile_range queries = tile_at(query_block, QUERY_BLOCK, desc->length);
    const int64_t first_key = key_block * KEY_BLOCK;
    const int64_t keys = min_i64(KEY_BLOCK, queries.end - first_key);
    return (backward_tile){.head = head,
                           .first_query = queries.begin,
                           .queries = queries.end - queries.begin,
                           .first_key = first_key,
                           .keys = keys,
                           .storage = score_storage(keys),
                           .first = key_block == first_key_block(job, query_block),
                           .q = rows_of(job, &desc->q, head, queries.begin),
                           .k = rows_of(job, &desc->k, head, first_key),
                           .v = rows_of(job, &desc->v, head, first_key),
                           .o = rows_of(job, &desc->o, head, queries.begin)};
}

static void recompute(const backward_job *job, const backward_tile *tile, const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    pan_gemm(false, true, tile->queries, tile->keys, desc->head_dim, desc->scale, job->q + tile->q.offset,
             tile->q.stride, job->k + tile->k.offset, tile->k.stride, 0.0f, scratch->weights, tile->storage);
    pan_gemm(false, true, tile->queries, tile->keys, desc->head_dim, 1.0f, job->d_o + tile->o.offset, tile->o.stride,
             job->v + tile->v.offset, tile->v.stride, 0.0f, scratch->slopes, tile->storage);
    const int64_t diagonal = tile->first_query - tile->first_key;
    for (int64_t r = 0; r < tile->queries; r++) {
        differentiate_row(job, tile->head * desc->length + tile->first_query + r, tile->first_key,
                          min_i64(tile->keys, diagonal + r + 1), tile->storage, scratch->weights + r * tile->storage,
                          scratch->slopes + r * tile->storage);
    }
}

/* dq (+)= scale dp k */
static void add_to_queries(const backward_job *job, const backward_tile *tile, const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    const causal_product product = {.m = tile->queries,
                                    .n = desc->head_dim,
                                    .k = tile->keys,
                                    .diagonal = tile->first_query - tile->first_key,
                                    .window = attention_window(desc),
                                    .alpha = desc->scale,
                                    .beta = tile->first ? 0.0f : 1.0f,
                                    .w = scratch->slopes,
                                    .w_stride = tile->storage,
                                    .x = job->k + tile->k.offset,
                                    .x_stride = tile->k.stride,
                                    .c = job->dq + tile->q.offset,
                                    .c_stride = tile->q.stride};
    causal_multiply(&product, scratch->product);
}

/* dv += P^T do, dk += scale dp^T q */
static void add_to_keys(const backward_job *job, const backward_tile *tile, const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    causal_product product = {.transposed = true,
                              .m = tile->keys,
                              .n = desc->head_dim,
                              .k = tile->queries,
                              .diagonal = tile->first_query - tile->first_key,
                              .window = attention_window(desc),
                              .alpha = 1.0f,
                              .beta = 1.0f,
                              .w = scratch->weights,
                              .w_stride = tile->storage,
                              .x = job->d_o + tile->o.offset,
                              .x_stride = tile->o.stride,
                              .c = job->dv + tile->v.offset,
                              .c_stride = tile->v.stride};
    causal_multiply(&product, scratch->product);
    product.alpha = desc->scale;
    product.w = scratch->slopes;
    product.x = job->q + tile->q.offset;
    product.x_stride = tile->q.stride;
    product.c = job->dk + tile->k.offset;
    product.c_stride = tile->k.stride;
    causal_multiply(&product, scratch->product);
}

static void zero_rows(float *x, const head_rows *rows, int64_t count, int64_t columns) {
    for (int64_t r = 0; r < count; r++) {
        memset(x + rows->offset + r * rows->stride, 0, (size_t) columns * sizeof *x);
    }
}

/* All tiles of a block of keys; its rows of dk and dv. */
static void key_block_pass(const backward_job *job, int64_t head, int64_t block, int targets,
                           const backward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    const tile_range range = tile_at(block, KEY_BLOCK, desc->length);
    const head_rows k = rows_of(job, &desc->k, head, range.begin);
    const head_rows v = rows_of(job, &desc->v, head, range.begin);
    zero_rows(job->dk, &k, range.end - range.begin, desc->head_dim);
    zero_rows(job->dv, &v, range.end - range.begin, desc->head_dim);
    /* The last query that sees a key of the block sees the block's last one. */
    const int64_t last_query = min_i64(range.end - 1 + attention_window(desc) - 1, desc->length - 1);
    for (int64_t query_block = range.begin / QUERY_BLOCK; query_block <= last_query / QUERY_BLOCK; query_block++) {
        const backward_tile tile = tile_of(job, head, query_block, block);
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
        write_delta(job, head, 0, job->desc->length);
        for (int64_t block = 0; block < job->key_blocks; block++) {
            key_block_pass(job, head, block, TO_QUERIES | TO_KEYS, &scratch);
        }
    }
}

/* D and dq of a block of queries, the longest first. */
static void query_block_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const backward_scratch scratch = scratch_of(job, worker);
    const int64_t block = job->query_blocks - 1 - task % job->query_blocks;
    const int64_t head = task / job->query_blocks;
    const tile_range range = tile_at(block, QUERY_BLOCK, job->desc->length);
    write_delta(job, head, range.begin, range.end - range.begin);
    for (int64_t key_block = first_key_block(job, block); key_block * KEY_BLOCK < range.end; key_block++) {
        const backward_tile tile = tile_of(job, head, block, key_block);
        recompute(job, &tile, &scratch);
        add_to_queries(job, &tile, &scratch);
    }
}

/* dk and dv of a block of keys. */
static void key_block_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const backward_scratch scratch = scratch_of(job, worker);
    key_block_pass(job, task / job->key_blocks, task % job->key_blocks, TO_KEYS, &scratch);
}

pan_status PAN_BODY(attention_backward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                       int64_t *bytes) {
    *bytes = delta_bytes(desc) + pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(attention_backward)(pan_stream *stream, const pan_attention_desc *desc,
                                        const pan_random_state *random, const int32_t *row_starts, const void *q,
                                        const void *k, const void *v, const void *o, const float *lse, const void *d_o,
                                        void *dq, void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) row_starts;
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    backward_job job = {.desc = desc,
                        .dropout = dropout_of(desc, random),
                        .query_blocks = ceil_div(desc->length, QUERY_BLOCK),
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
