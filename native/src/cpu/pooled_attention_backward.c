/* Attention to pooled blocks, backward: weights are recomputed tile by tile, after Dao 2023 (arXiv 2307.08691), algorithm
 * 2. Keys are few and queries many, so tasks are parts of a key head's queries, whose sums for dk and dv are added up in
 * order at the end. */
#include "pooled_attention.h"

/* How many tasks are wanted. */
enum { POOLED_TASKS = 16 };

typedef struct backward_job {
    const pan_pooled_attention_desc *desc;
    const int32_t *excluded;
    int64_t parts; /* of the queries of a key head */
    const float *q;
    const float *k;
    const float *v;
    const float *o;
    const float *lse;
    const float *d_o;
    const float *d_lse; /* may be NULL */
    float *dq;
    float *dk;
    float *dv;
    float *sums; /* (batch * kv_heads, parts, 2, keys, head_dim): of dk and of dv; not used for one part */
    char *scratch;
    int64_t worker_bytes;
} backward_job;

/* Scratch memory of a worker. */
typedef struct backward_scratch {
    float *weights; /* a tile's scores, then P */
    float *slopes;  /* likewise: do . v, then dp without the scale */
    float *copy;
} backward_scratch;

/* Where a task adds up dk and dv of a key head. */
typedef struct key_sums {
    float *dk;
    int64_t dk_stride;
    float *dv;
    int64_t dv_stride;
} key_sums;

static int64_t worker_bytes(const pan_pooled_attention_desc *desc) {
    return 2 * pooled_tile_bytes(desc) + pooled_copy_bytes(desc);
}

/* As many parts as make enough tasks, each of one tile of queries at least. */
static int64_t part_count(const pan_pooled_attention_desc *desc) {
    return min_i64(ceil_div(POOLED_TASKS, desc->batch * desc->kv_heads), pooled_query_tiles(desc));
}

static int64_t key_elements(const pan_pooled_attention_desc *desc) {
    return pan_pooled_keys(desc) * desc->head_dim;
}

static int64_t sums_bytes(const pan_pooled_attention_desc *desc) {
    const int64_t parts = part_count(desc);
    const int64_t elements = 2 * desc->batch * desc->kv_heads * parts * key_elements(desc);
    return parts > 1 ? align_up(elements * (int64_t) sizeof(float)) : 0;
}

static float dot(const float *a, const float *b, int64_t count) {
    vf sum = vf_splat(0.0f);
    for (int64_t i = 0; i < count; i += LANES) {
        sum += vf_load_first(a + i, count - i) * vf_load_first(b + i, count - i);
    }
    return vf_sum(sum);
}

/* What the gradients of a query's scores have in common. */
typedef struct query_terms {
    float lse;
    float d_lse;
    float delta; /* D[t] = sum_c do[t,c] o[t,c] */
} query_terms;

static query_terms terms_of(const backward_job *job, const pooled_tile *tile, int64_t t) {
    const pan_pooled_attention_desc *desc = job->desc;
    const int64_t statistic = (tile->b * desc->heads + tile->head) * desc->length + t;
    const int64_t row =
        layout_offset(&desc->o, tile->b, tile->head) + t * row_stride(&desc->o, desc->length, desc->head_dim);
    return (query_terms){.lse = job->lse[statistic],
                         .d_lse = job->d_lse == NULL ? 0.0f : job->d_lse[statistic],
                         .delta = dot(job->d_o + row, job->o + row, desc->head_dim)};
}

/* Turns the scores and do . v of a query into P and dp; 0 where it does not see the key. */
static void differentiate_row(const backward_job *job, const pooled_tile *tile, int64_t t, float *weights,
                              float *slopes) {
    const query_terms terms = terms_of(job, tile, t);
    const int64_t visible = terms.lse == -INFINITY ? 0 : pooled_visible_keys(tile, t);
    const float change = terms.d_lse - terms.delta;
    const bool single = pooled_seen(tile, t) == 1;
    add_bias(tile, weights, visible);
    for (int64_t i = 0; i < visible; i += LANES) {
        const vf p = vf_exp(vf_load(weights + i) - terms.lse), along = vf_load(slopes + i);
        /* A softmax over one key is constant: do . v - D is 0 and not its rounding error. NaN stays NaN. */
        const vf slope = single ? p * (0.0f * (along - terms.delta) + terms.d_lse) : p * (along + change);
        vf_store(weights + i, p);
        vf_store(slopes + i, slope);
    }
    set_excluded(tile, t, weights, visible, 0.0f);
    set_excluded(tile, t, slopes, visible, 0.0f);
    memset(weights + visible, 0, (size_t) (tile->storage - visible) * sizeof *weights);
    memset(slopes + visible, 0, (size_t) (tile->storage - visible) * sizeof *slopes);
}

/* Everything of a tile. */
static void add_tile(const backward_job *job, const pooled_tile *tile, const key_sums *sums,
                     const backward_scratch *scratch) {
    const pan_pooled_attention_desc *desc = job->desc;
    const int64_t q_stride = row_stride(&desc->q, desc->length, desc->head_dim);
    const int64_t o_stride = row_stride(&desc->o, desc->length, desc->head_dim);
    const int64_t k_stride = row_stride(&desc->k, pan_pooled_keys(desc), desc->head_dim);
    const int64_t v_stride = row_stride(&desc->v, pan_pooled_keys(desc), desc->head_dim);
    const int64_t queries = tile->queries.end - tile->queries.begin, keys = tile->keys.end - tile->keys.begin;
    const int64_t q_offset = layout_offset(&desc->q, tile->b, tile->head) + tile->queries.begin * q_stride;
    const float *d_o = job->d_o + layout_offset(&desc->o, tile->b, tile->head) + tile->queries.begin * o_stride;
    const float *k = job->k + layout_offset(&desc->k, tile->b, tile->kv_head) + tile->keys.begin * k_stride;
    const float *v = job->v + layout_offset(&desc->v, tile->b, tile->kv_head) + tile->keys.begin * v_stride;
    pan_gemm(false, true, queries, keys, desc->head_dim, desc->scale, job->q + q_offset, q_stride, k, k_stride, 0.0f,
             scratch->weights, tile->storage);
    pan_gemm(false, true, queries, keys, desc->head_dim, 1.0f, d_o, o_stride, v, v_stride, 0.0f, scratch->slopes,
             tile->storage);
    for (int64_t r = 0; r < queries; r++) {
        differentiate_row(job, tile, tile->queries.begin + r, scratch->weights + r * tile->storage,
                          scratch->slopes + r * tile->storage);
    }
    const pooled_product products[] = {
        {tile, false, desc->scale, tile->keys.begin == 0 ? 0.0f : 1.0f, scratch->slopes, k, k_stride,
         job->dq + q_offset, q_stride},
        {tile, true, 1.0f, 1.0f, scratch->weights, d_o, o_stride, sums->dv + tile->keys.begin * sums->dv_stride,
         sums->dv_stride},
        {tile, true, desc->scale, 1.0f, scratch->slopes, job->q + q_offset, q_stride,
         sums->dk + tile->keys.begin * sums->dk_stride, sums->dk_stride},
    };
    for (int i = 0; i < 3; i++) {
        pooled_multiply(&products[i], scratch->copy);
    }
}

static void zero_rows(float *x, int64_t stride, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        memset(x + r * stride, 0, (size_t) columns * sizeof *x);
    }
}

/* dk and dv of a key head: the arrays themselves, or a part's sums. */
static key_sums sums_of(const backward_job *job, int64_t kv_head, int64_t part) {
    const pan_pooled_attention_desc *desc = job->desc;
    if (job->parts == 1) {
        const int64_t b = kv_head / desc->kv_heads, h = kv_head % desc->kv_heads;
        return (key_sums){
            job->dk + layout_offset(&desc->k, b, h), row_stride(&desc->k, pan_pooled_keys(desc), desc->head_dim),
            job->dv + layout_offset(&desc->v, b, h), row_stride(&desc->v, pan_pooled_keys(desc), desc->head_dim)};
    }
    float *first = job->sums + (kv_head * job->parts + part) * 2 * key_elements(desc);
    return (key_sums){first, desc->head_dim, first + key_elements(desc), desc->head_dim};
}

/* A tile of queries with all keys that it may see. */
static void query_tile_pass(const backward_job *job, const pooled_tile *queries, const key_sums *sums,
                            const backward_scratch *scratch) {
    const pan_pooled_attention_desc *desc = job->desc;
    const int64_t end = pooled_key_end(queries);
    for (int64_t key = 0; key < end; key += POOLED_KEYS) {
        const pooled_tile tile = with_keys(*queries, key);
        add_tile(job, &tile, sums, scratch);
    }
    if (end == 0) {
        const int64_t stride = row_stride(&desc->q, desc->length, desc->head_dim);
        const int64_t first = layout_offset(&desc->q, queries->b, queries->head) + queries->queries.begin * stride;
        zero_rows(job->dq + first, stride, queries->queries.end - queries->queries.begin, desc->head_dim);
    }
}

/* A part of the queries of a key head: every so-many-th tile, because later ones see more. */
static void part_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const pan_pooled_attention_desc *desc = job->desc;
    const int64_t tile_floats = pooled_tile_bytes(desc) / (int64_t) sizeof(float);
    float *first = (float *) (job->scratch + worker * job->worker_bytes);
    const backward_scratch scratch = {first, first + tile_floats, first + 2 * tile_floats};
    const int64_t kv_head = task / job->parts, part = task % job->parts, group = desc->heads / desc->kv_heads;
    const key_sums sums = sums_of(job, kv_head, part);
    zero_rows(sums.dk, sums.dk_stride, pan_pooled_keys(desc), desc->head_dim);
    zero_rows(sums.dv, sums.dv_stride, pan_pooled_keys(desc), desc->head_dim);
    for (int64_t query_tile = part; query_tile < pooled_query_tiles(desc); query_tile += job->parts) {
        for (int64_t h = 0; h < group; h++) {
            const pooled_tile queries = pooled_tile_of(desc, job->excluded, kv_head / desc->kv_heads,
                                                       kv_head % desc->kv_heads * group + h, query_tile);
            query_tile_pass(job, &queries, &sums, &scratch);
        }
    }
}

/* Rows of dk and dv from the parts' sums; by both, over all key heads. */
static void sum_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const backward_job *job = context;
    const pan_pooled_attention_desc *desc = job->desc;
    const int64_t keys = pan_pooled_keys(desc), size = tile_rows(job->parts * desc->head_dim);
    const tile_range rows = tile_at(task, size, 2 * desc->batch * desc->kv_heads * keys);
    for (int64_t row = rows.begin; row < rows.end; row++) {
        const int64_t kv_head = row / (2 * keys), j = row % keys;
        const bool values = row / keys % 2 == 1;
        const pan_head_layout *layout = values ? &desc->v : &desc->k;
        float *target = (values ? job->dv : job->dk) + j * row_stride(layout, keys, desc->head_dim) +
                        layout_offset(layout, kv_head / desc->kv_heads, kv_head % desc->kv_heads);
        for (int64_t part = 0; part < job->parts; part++) {
            const key_sums sums = sums_of(job, kv_head, part);
            const float *source = (values ? sums.dv : sums.dk) + j * desc->head_dim;
            for (int64_t c = 0; c < desc->head_dim; c++) {
                target[c] = part == 0 ? source[c] : target[c] + source[c];
            }
        }
    }
}

pan_status PAN_BODY(pooled_attention_backward_workspace_size)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                              int64_t *bytes) {
    *bytes = sums_bytes(desc) + pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(pooled_attention_backward)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                               const int32_t *excluded, const void *q, const void *k, const void *v,
                                               const void *o, const float *lse, const void *d_o, const float *d_lse,
                                               void *dq, void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    backward_job job = {.desc = desc,
                        .excluded = excluded,
                        .parts = part_count(desc),
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
                        .sums = workspace,
                        .scratch = (char *) workspace + sums_bytes(desc),
                        .worker_bytes = worker_bytes(desc)};
    const int64_t kv_heads = desc->batch * desc->kv_heads;
    pan_parallel(pool, kv_heads * job.parts, part_task, &job);
    if (job.parts > 1) {
        const int64_t rows = 2 * kv_heads * pan_pooled_keys(desc);
        pan_parallel(pool, ceil_div(rows, tile_rows(job.parts * desc->head_dim)), sum_task, &job);
    }
    return PAN_OK;
}
