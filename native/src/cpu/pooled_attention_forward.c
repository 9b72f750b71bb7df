/* Attention to pooled blocks, forward: online softmax over tiles of keys, after Dao 2023 (arXiv 2307.08691), algorithm 1. */
#include "pooled_attention.h"

typedef struct forward_job {
    const pan_pooled_attention_desc *desc;
    const int32_t *excluded;
    int64_t tiles; /* of queries, over the batch */
    int64_t task_tiles;
    const float *q;
    const float *k;
    const float *v;
    float *o;
    float *lse;
    char *workspace;
    int64_t worker_bytes;
} forward_job;

/* Of a tile of queries. */
typedef struct forward_state {
    float *scores;
    float *copy;
    float max[POOLED_QUERIES]; /* of a query's scores so far ... */
    float sum[POOLED_QUERIES]; /* ... and the sum of their exponentials, relative to that */
} forward_state;

static int64_t worker_bytes(const pan_pooled_attention_desc *desc) {
    return pooled_tile_bytes(desc) + pooled_copy_bytes(desc);
}

static void multiply_row(float *row, int64_t count, float factor) {
    for (int64_t i = 0; i < count; i++) {
        row[i] *= factor;
    }
}

/* Turns the scores of row r into weights relative to the largest so far; rescales what was summed before. */
static void weigh_row(const pooled_tile *tile, int64_t r, float *o, float *row, forward_state *state) {
    const int64_t t = tile->queries.begin + r, visible = pooled_visible_keys(tile, t);
    add_bias(tile, row, visible);
    set_excluded(tile, t, row, visible, -INFINITY);
    const float max = score_max(row, visible, state->max[r]);
    const float shift = score_shift(max);
    if (tile->keys.begin > 0 && max > state->max[r]) {
        const float factor = expf(score_shift(state->max[r]) - shift);
        state->sum[r] *= factor;
        multiply_row(o, tile->desc->head_dim, factor);
    }
    state->max[r] = max;
    state->sum[r] += score_exp(row, visible, shift);
    const int64_t written = score_storage(visible);
    memset(row + written, 0, (size_t) (tile->storage - written) * sizeof *row);
}

/* Adds a tile's weighted values to the output. */
static void add_tile(const forward_job *job, const pooled_tile *tile, forward_state *state) {
    const pan_pooled_attention_desc *desc = job->desc;
    const int64_t q_stride = row_stride(&desc->q, desc->length, desc->head_dim);
    const int64_t o_stride = row_stride(&desc->o, desc->length, desc->head_dim);
    const int64_t k_stride = row_stride(&desc->k, pan_pooled_keys(desc), desc->head_dim);
    const int64_t v_stride = row_stride(&desc->v, pan_pooled_keys(desc), desc->head_dim);
    const int64_t queries = tile->queries.end - tile->queries.begin;
    float *o = job->o + layout_offset(&desc->o, tile->b, tile->head) + tile->queries.begin * o_stride;
    pan_gemm(false, true, queries, tile->keys.end - tile->keys.begin, desc->head_dim, desc->scale,
             job->q + layout_offset(&desc->q, tile->b, tile->head) + tile->queries.begin * q_stride, q_stride,
             job->k + layout_offset(&desc->k, tile->b, tile->kv_head) + tile->keys.begin * k_stride, k_stride, 0.0f,
             state->scores, tile->storage);
    for (int64_t r = 0; r < queries; r++) {
        weigh_row(tile, r, o + r * o_stride, state->scores + r * tile->storage, state);
    }
    const pooled_product product = {.tile = tile,
                                    .alpha = 1.0f,
                                    .beta = tile->keys.begin == 0 ? 0.0f : 1.0f,
                                    .w = state->scores,
                                    .x = job->v + layout_offset(&desc->v, tile->b, tile->kv_head) +
                                         tile->keys.begin * v_stride,
                                    .x_stride = v_stride,
                                    .c = o,
                                    .c_stride = o_stride};
    pooled_multiply(&product, state->copy);
}

/* Divides by the sums of the exponentials; a query that saw nothing keeps its zeros. */
static void finish_queries(const forward_job *job, const pooled_tile *tile, const forward_state *state) {
    const pan_pooled_attention_desc *desc = job->desc;
    const int64_t stride = row_stride(&desc->o, desc->length, desc->head_dim);
    float *o = job->o + layout_offset(&desc->o, tile->b, tile->head) + tile->queries.begin * stride;
    float *lse = job->lse + (tile->b * desc->heads + tile->head) * desc->length + tile->queries.begin;
    const bool any = pooled_key_end(tile) > 0;
    for (int64_t r = 0; r < tile->queries.end - tile->queries.begin; r++) {
        if (state->sum[r] != 0.0f) {
            multiply_row(o + r * stride, desc->head_dim, 1.0f / state->sum[r]);
            lse[r] = score_shift(state->max[r]) + logf(state->sum[r]);
        } else {
            lse[r] = -INFINITY;
        }
        if (!any) {
            memset(o + r * stride, 0, (size_t) desc->head_dim * sizeof *o);
        }
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    const forward_job *job = context;
    const int64_t query_tiles = pooled_query_tiles(job->desc);
    forward_state state;
    state.scores = (float *) (job->workspace + worker * job->worker_bytes);
    state.copy = state.scores + pooled_tile_bytes(job->desc) / (int64_t) sizeof(float);
    const tile_range tiles = tile_at(task, job->task_tiles, job->tiles);
    for (int64_t i = tiles.begin; i < tiles.end; i++) {
        const int64_t head = i / query_tiles;
        const pooled_tile queries =
            pooled_tile_of(job->desc, job->excluded, head / job->desc->heads, head % job->desc->heads, i % query_tiles);
        for (int64_t r = 0; r < POOLED_QUERIES; r++) {
            state.max[r] = -INFINITY;
            state.sum[r] = 0.0f;
        }
        for (int64_t key = 0; key < pooled_key_end(&queries); key += POOLED_KEYS) {
            const pooled_tile tile = with_keys(queries, key);
            add_tile(job, &tile, &state);
        }
        finish_queries(job, &queries, &state);
    }
}

pan_status PAN_BODY(pooled_attention_forward_workspace_size)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                             int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(pooled_attention_forward)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                              const int32_t *excluded, const void *q, const void *k, const void *v,
                                              void *o, float *lse, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    forward_job job = {.desc = desc,
                       .excluded = excluded,
                       .tiles = desc->batch * desc->heads * pooled_query_tiles(desc),
                       .q = q,
                       .k = k,
                       .v = v,
                       .o = o,
                       .lse = lse,
                       .workspace = workspace,
                       .worker_bytes = worker_bytes(desc)};
    job.task_tiles = 1 + (int64_t) (POOLED_TASK_FLOPS / (pooled_tile_flops(desc, 2) + POOLED_TILE_FLOPS));
    pan_parallel(stream->device->pool, ceil_div(job.tiles, job.task_tiles), forward_task, &job);
    return PAN_OK;
}
