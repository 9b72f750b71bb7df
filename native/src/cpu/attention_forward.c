/* Causal attention, forward: online softmax over blocks of keys, after Dao 2023 (arXiv 2307.08691), algorithm 1. */
#include "attention_tile.h"

/* Keys of a tile: long rows make good use of the GEMM and seldom rescale the output. */
enum { KEY_BLOCK = 256 };

typedef struct forward_job {
    const pan_attention_desc *desc;
    const int32_t *query_rows;
    weight_dropout dropout;
    int64_t query_blocks; /* of the head that has the most */
    int64_t heads;        /* over the batch */
    int64_t task_heads;
    const float *q;
    const float *k;
    const float *v;
    float *o;
    float *lse;
    char *workspace;
    int64_t worker_bytes;
} forward_job;

/* Scratch memory of a worker. */
typedef struct forward_scratch {
    float *scores; /* (QUERY_BLOCK, KEY_BLOCK) */
    float *product;
    float max[QUERY_BLOCK];
    float sum[QUERY_BLOCK];
} forward_scratch;

static int64_t worker_bytes(const pan_attention_desc *desc) {
    const int64_t product = causal_scratch_floats(QUERY_BLOCK + KEY_BLOCK, desc->head_dim);
    return tile_bytes(KEY_BLOCK) + align_up(product * (int64_t) sizeof(float));
}

static void multiply_row(float *row, int64_t count, float factor) {
    for (int64_t i = 0; i < count; i++) {
        row[i] *= factor;
    }
}

/* A tile: queries of a head, and keys up to the last of them that can be seen. Each query sees one of the keys. */
typedef struct forward_tile {
    int64_t head;
    query_block queries;
    int64_t first_key;
    int64_t keys;
    int64_t storage; /* of a row of scores */
    bool first;      /* of its queries */
    float *max;      /* of each query's scores so far ... */
    float *sum;      /* ... and the sum of their exponentials, relative to that */
} forward_tile;

/* Turns a query's scores into weights relative to the largest score so far; rescales what was summed before. */
static void weigh_row(const forward_job *job, const forward_tile *tile, int64_t r, float *o, float *row) {
    const pan_attention_desc *desc = job->desc;
    const int64_t position = tile->queries.position[r];
    const int64_t visible = min_i64(tile->keys, position - tile->first_key + 1);
    const int64_t before = first_visible(desc, position) - tile->first_key;
    const float factor = weigh_scores(row, (tile_range){before, visible}, &tile->max[r], &tile->sum[r]);
    if (!tile->first && factor != 1.0f) {
        multiply_row(o, desc->head_dim, factor);
    }
    drop_weights(&job->dropout, (uint64_t) (tile->head * desc->length + position), tile->first_key, row, visible);
    const int64_t written = score_storage(visible);
    memset(row + written, 0, (size_t) (tile->storage - written) * sizeof *row);
}

/* Adds a tile's weighted values to the output. */
static void add_tile(const forward_job *job, const forward_tile *tile, const forward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    const query_block *queries = &tile->queries;
    const int64_t k_stride = key_stride(desc, &desc->k);
    const int64_t v_stride = key_stride(desc, &desc->v);
    const int64_t o_stride = query_stride(desc, &desc->o);
    float *o = job->o + queries->o;
    pan_gemm(false, true, queries->count, tile->keys, desc->head_dim, desc->scale, job->q + queries->q,
             query_stride(desc, &desc->q),
             job->k + head_offset(desc, &desc->k, tile->head) + tile->first_key * k_stride, k_stride, 0.0f,
             scratch->scores, tile->storage);
    for (int64_t r = 0; r < queries->count; r++) {
        weigh_row(job, tile, r, o + r * o_stride, scratch->scores + r * tile->storage);
    }
    const causal_product product = {.m = queries->count,
                                    .n = desc->head_dim,
                                    .k = tile->keys,
                                    .position = queries->position,
                                    .window = attention_window(desc),
                                    .first_key = tile->first_key,
                                    .alpha = 1.0f,
                                    .beta = tile->first ? 0.0f : 1.0f,
                                    .w = scratch->scores,
                                    .w_stride = tile->storage,
                                    .x = job->v + head_offset(desc, &desc->v, tile->head) + tile->first_key * v_stride,
                                    .x_stride = v_stride,
                                    .c = o,
                                    .c_stride = o_stride};
    causal_multiply(&product, scratch->product);
}

/* Divides by the sums of the exponentials. */
static void finish_block(const forward_job *job, const query_block *block, const forward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    for (int64_t r = 0; r < block->count; r++) {
        multiply_row(job->o + block->o + r * query_stride(desc, &desc->o), desc->head_dim, 1.0f / scratch->sum[r]);
        job->lse[block->statistics + r] = score_shift(scratch->max[r]) + logf(scratch->sum[r]);
    }
}

static void forward_block(const forward_job *job, int64_t head, const head_queries *queries, tile_range range,
                          forward_scratch *scratch) {
    const pan_attention_desc *desc = job->desc;
    const query_block block = query_block_of(desc, queries, range);
    const int64_t o_stride = query_stride(desc, &desc->o);
    for (int64_t r = 0; r < block.count; r++) {
        scratch->max[r] = -INFINITY;
        scratch->sum[r] = 0.0f;
    }
    const int64_t first_key = first_visible(desc, block.position[0]) / QUERY_BLOCK * QUERY_BLOCK;
    const int64_t key_end = block.position[block.count - 1] + 1;
    for (int64_t key = first_key; key < key_end; key += KEY_BLOCK) {
        const tile_range keys = {key, min_i64(key + KEY_BLOCK, key_end)};
        const tile_range seeing = tile_overlap(range, queries_seeing(desc, queries, keys));
        const forward_tile tile = {.head = head,
                                   .queries = query_block_of(desc, queries, seeing),
                                   .first_key = key,
                                   .keys = keys.end - key,
                                   .storage = score_storage(keys.end - key),
                                   .first = key == first_key,
                                   .max = scratch->max + (seeing.begin - range.begin),
                                   .sum = scratch->sum + (seeing.begin - range.begin)};
        if (tile.first) { /* which writes its queries' rows; to the others, behind them, later tiles add */
            zero_rows(job->o + tile.queries.o + tile.queries.count * o_stride, o_stride, range.end - seeing.end,
                      desc->head_dim);
        }
        if (tile.queries.count > 0) {
            add_tile(job, &tile, scratch);
        }
    }
    finish_block(job, &block, scratch);
}

/* The query blocks of some heads, the longest first, so that none is left for the end. */
static void forward_task(void *context, int64_t task, int32_t worker) {
    const forward_job *job = context;
    forward_scratch scratch;
    scratch.scores = (float *) (job->workspace + worker * job->worker_bytes);
    scratch.product = scratch.scores + tile_bytes(KEY_BLOCK) / (int64_t) sizeof(float);
    const int64_t block = job->query_blocks - 1 - task % job->query_blocks;
    const tile_range heads = tile_at(task / job->query_blocks, job->task_heads, job->heads);
    for (int64_t head = heads.begin; head < heads.end; head++) {
        const head_queries queries = queries_of(job->desc, job->query_rows, head);
        const tile_range range = tile_at(block, QUERY_BLOCK, queries.count);
        if (range.begin < range.end) {
            forward_block(job, head, &queries, range, &scratch);
        }
    }
}

pan_status PAN_BODY(attention_forward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                      int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(attention_forward)(pan_stream *stream, const pan_attention_desc *desc,
                                       const pan_random_state *random, const int32_t *query_rows, const void *q,
                                       const void *k, const void *v, void *o, float *lse, void *workspace,
                                       int64_t workspace_bytes) {
    (void) workspace_bytes;
    forward_job job = {.desc = desc,
                       .query_rows = query_rows,
                       .dropout = dropout_of(desc, random),
                       .query_blocks = ceil_div(most_queries(desc, query_rows), QUERY_BLOCK),
                       .heads = desc->batch * desc->heads,
                       .q = q,
                       .k = k,
                       .v = v,
                       .o = o,
                       .lse = lse,
                       .workspace = workspace,
                       .worker_bytes = worker_bytes(desc)};
    job.task_heads = heads_per_task(desc, 2);
    pan_parallel(stream->device->pool, job.query_blocks * ceil_div(job.heads, job.task_heads), forward_task, &job);
    return PAN_OK;
}
