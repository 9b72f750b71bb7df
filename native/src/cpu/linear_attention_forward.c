/* Linear attention, forward: the pairs within a chunk as attention without softmax, earlier ones through a state. */
#include "linear_attention.h"

typedef struct forward_job {
    const linear_desc *desc;
    int64_t chunk;
    int64_t task_heads;
    const float *q;
    const float *k;
    const float *v;
    const float *initial_state;
    float *o;
    float *denominator;
    float *final_state;
    char *workspace;
    int64_t worker_bytes;
} forward_job;

/* Scratch memory of a worker. */
typedef struct forward_scratch {
    float *state; /* (features, state_columns()) */
    float *rows;  /* (PIECE, state_columns()): outputs before the division, and the sums of their weights; or (v | 1) */
    float *scores;
    float *product;
    feature_scratch features;
} forward_scratch;

static int64_t worker_bytes(const linear_desc *desc) {
    return floats_bytes(state_floats(desc)) + floats_bytes(PIECE * state_columns(desc)) +
           floats_bytes(tile_scores_floats(desc)) + floats_bytes(tile_product_floats(desc)) +
           feature_scratch_bytes(desc, false);
}

static forward_scratch scratch_of(const forward_job *job, int32_t worker) {
    const linear_desc *desc = job->desc;
    char *memory = job->workspace + worker * job->worker_bytes;
    forward_scratch scratch = {.state = take_floats(&memory, state_floats(desc)),
                               .rows = take_floats(&memory, PIECE * state_columns(desc)),
                               .scores = take_floats(&memory, tile_scores_floats(desc)),
                               .product = take_floats(&memory, tile_product_floats(desc))};
    scratch.features = take_feature_scratch(desc, &memory, false);
    return scratch;
}

/* Turns a query's scores into weights, 0 where the query does not see the key, and returns their sum. */
static float weigh_row(bool taylor, float *row, int64_t visible, int64_t storage) {
    vf sum = vf_splat(0.0f);
    int64_t s = 0;
    for (; s < visible; s += LANES) {
        vf w = vf_load(row + s);
        w = taylor ? w * (0.5f * w + 1.0f) + 1.0f : w;
        if (s + LANES > visible) {
            w = vf_select(score_lanes(s, visible), w, vf_splat(0.0f));
        }
        vf_store(row + s, w);
        sum += w;
    }
    memset(row + s, 0, (size_t) (storage - s) * sizeof *row);
    return vf_sum(sum);
}

/* Adds the pairs of a piece with its chunk to its rows. */
static void add_pairs(const forward_job *job, const linear_head *head, const linear_tile *tile, bool first,
                      const forward_scratch *scratch) {
    const linear_desc *desc = job->desc;
    const int64_t columns = state_columns(desc);
    tile_scores(desc, head, tile, scratch->scores);
    for (int64_t r = 0; r < tile->queries; r++) {
        float *sum = scratch->rows + r * columns + desc->value_dim;
        const float weights =
            weigh_row(is_taylor(desc), scratch->scores + r * tile->storage, visible_keys(tile, r), tile->storage);
        *sum = first ? weights : *sum + weights;
    }
    causal_product product = tile_product(tile, false);
    product.n = desc->value_dim;
    product.beta = first ? 0.0f : 1.0f;
    product.w = scratch->scores;
    product.x = head->v + tile->first_key * head->v_stride;
    product.x_stride = head->v_stride;
    product.c = scratch->rows;
    product.c_stride = columns;
    causal_multiply(&product, scratch->product);
}

static void write_rows(const forward_job *job, const linear_head *head, const linear_tile *tile, const float *rows) {
    const linear_desc *desc = job->desc;
    float *o = job->o + linear_offset(desc, &desc->o, head->index) + tile->first_query * head->o_stride;
    for (int64_t r = 0; r < tile->queries; r++, rows += state_columns(desc), o += head->o_stride) {
        float factor = 1.0f;
        if (desc->normalised) {
            const float divisor = rows[desc->value_dim] + desc->epsilon;
            job->denominator[head->index * desc->length + tile->first_query + r] = divisor;
            factor = 1.0f / divisor;
        }
        for (int64_t c = 0; c < desc->value_dim; c += LANES) {
            vf_store_first(o + c, factor * vf_load_first(rows + c, desc->value_dim - c), desc->value_dim - c);
        }
    }
}

/* A piece of queries; `state` is that before their chunk, NULL: nothing came before. */
static void query_piece(const forward_job *job, const linear_head *head, int64_t first_key, tile_range queries,
                        const float *state, const forward_scratch *scratch) {
    const linear_desc *desc = job->desc;
    const int64_t columns = state_columns(desc);
    const linear_tile tile = linear_tile_of(first_key, queries);
    if (state != NULL) {
        const feature_matrix phi = piece_features(desc, head->q + queries.begin * head->q_stride, head->q_stride,
                                                  tile.queries, &scratch->features);
        pan_gemm(phi.transposed, false, tile.queries, columns, linear_features(desc), 1.0f, phi.values, phi.stride,
                 state, columns, 0.0f, scratch->rows, columns);
    }
    add_pairs(job, head, &tile, state == NULL, scratch);
    write_rows(job, head, &tile, scratch->rows);
}

static void add_chunk_to_state(const forward_job *job, const linear_head *head, tile_range chunk,
                               const forward_scratch *scratch) {
    const linear_desc *desc = job->desc;
    for (int64_t s = chunk.begin; s < chunk.end; s += PIECE) {
        const int64_t rows = min_i64(PIECE, chunk.end - s);
        const feature_matrix phi =
            piece_features(desc, head->k + s * head->k_stride, head->k_stride, rows, &scratch->features);
        extend_values(desc, head->v + s * head->v_stride, head->v_stride, rows, scratch->rows);
        add_to_state(desc, phi, rows, scratch->rows, scratch->state);
    }
}

static void forward_head(const forward_job *job, int64_t index, const forward_scratch *scratch) {
    const linear_desc *desc = job->desc;
    const size_t state_size = (size_t) state_floats(desc) * sizeof(float);
    const linear_head head = linear_head_of(desc, index, job->q, job->k, job->v);
    bool empty = job->initial_state == NULL;
    if (empty) {
        memset(scratch->state, 0, state_size);
    } else {
        memcpy(scratch->state, job->initial_state + index * state_floats(desc), state_size);
    }
    for (int64_t begin = 0; begin < desc->length; begin += job->chunk) {
        const tile_range chunk = {begin, min_i64(begin + job->chunk, desc->length)};
        for (int64_t t = chunk.begin; t < chunk.end; t += PIECE) {
            query_piece(job, &head, chunk.begin, (tile_range){t, min_i64(t + PIECE, chunk.end)},
                        empty ? NULL : scratch->state, scratch);
        }
        if (chunk.end < desc->length || job->final_state != NULL) {
            add_chunk_to_state(job, &head, chunk, scratch);
            empty = false;
        }
    }
    if (job->final_state != NULL) {
        memcpy(job->final_state + index * state_floats(desc), scratch->state, state_size);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    const forward_job *job = context;
    const forward_scratch scratch = scratch_of(job, worker);
    const tile_range heads = tile_at(task, job->task_heads, job->desc->batch * job->desc->heads);
    for (int64_t index = heads.begin; index < heads.end; index++) {
        forward_head(job, index, &scratch);
    }
}

pan_status PAN_BODY(linear_attention_state_size)(pan_stream *stream, const linear_desc *desc, int64_t *bytes) {
    (void) stream;
    *bytes = desc->batch * desc->heads * state_floats(desc) * (int64_t) sizeof(float);
    return PAN_OK;
}

pan_status PAN_BODY(linear_attention_forward_workspace_size)(pan_stream *stream, const linear_desc *desc,
                                                             int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(linear_attention_forward)(pan_stream *stream, const linear_desc *desc, const void *q, const void *k,
                                              const void *v, const float *initial_state, void *o, float *denominator,
                                              float *final_state, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    forward_job job = {.desc = desc,
                       .chunk = pan_chunk_length(desc),
                       .task_heads = linear_heads_per_task(desc, 1.0),
                       .q = q,
                       .k = k,
                       .v = v,
                       .initial_state = initial_state,
                       .o = o,
                       .denominator = denominator,
                       .final_state = final_state,
                       .workspace = workspace,
                       .worker_bytes = worker_bytes(desc)};
    pan_parallel(stream->device->pool, ceil_div(desc->batch * desc->heads, job.task_heads), forward_task, &job);
    return PAN_OK;
}
