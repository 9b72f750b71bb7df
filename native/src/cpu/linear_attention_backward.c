/* Linear attention, backward: by the chunks of forward. A pass forwards carries the state of the keys, for the queries'
 * gradients, and does the pairs within chunks; one backwards carries that of the queries, for keys and values. */
#include "linear_attention.h"

typedef struct backward_job {
    const linear_desc *desc;
    int64_t chunk;
    int64_t task_heads;
    const float *q;
    const float *k;
    const float *v;
    const float *o;
    const float *denominator;
    const float *d_o;
    float *dq;
    float *dk;
    float *dv;
    char *workspace;
    int64_t worker_bytes;
} backward_job;

/* Scratch memory of a worker. */
typedef struct backward_scratch {
    float *state;   /* (features, state_columns()) */
    float *values;  /* (PIECE, state_columns()): (v | 1) */
    float *slopes;  /* likewise: (g | -e) */
    float *weights; /* of a tile: scores, then w */
    float *scores;  /* likewise: g . v, then the gradient of the scores */
    float *product;
    feature_scratch features;
} backward_scratch;

/* A head and its gradients. */
typedef struct backward_head {
    linear_head in;
    const float *o;
    const float *d_o;
    const float *denominator;
    float *dq;
    float *dk;
    float *dv;
} backward_head;

static int64_t worker_bytes(const linear_desc *desc) {
    return floats_bytes(state_floats(desc)) + 2 * floats_bytes(PIECE * state_columns(desc)) +
           2 * floats_bytes(tile_scores_floats(desc)) + floats_bytes(tile_product_floats(desc)) +
           feature_scratch_bytes(desc, true);
}

static backward_scratch scratch_of(const backward_job *job, int32_t worker) {
    const linear_desc *desc = job->desc;
    char *memory = job->workspace + worker * job->worker_bytes;
    backward_scratch scratch = {.state = take_floats(&memory, state_floats(desc)),
                                .values = take_floats(&memory, PIECE * state_columns(desc)),
                                .slopes = take_floats(&memory, PIECE * state_columns(desc)),
                                .weights = take_floats(&memory, tile_scores_floats(desc)),
                                .scores = take_floats(&memory, tile_scores_floats(desc)),
                                .product = take_floats(&memory, tile_product_floats(desc))};
    scratch.features = take_feature_scratch(desc, &memory, true);
    return scratch;
}

static backward_head head_of(const backward_job *job, int64_t index) {
    const linear_desc *desc = job->desc;
    const int64_t o = linear_offset(desc, &desc->o, index);
    return (backward_head){
        .in = linear_head_of(desc, index, job->q, job->k, job->v),
        .o = job->o + o,
        .d_o = job->d_o + o,
        .denominator = job->denominator == NULL ? NULL : job->denominator + index * desc->length,
        .dq = job->dq + linear_offset(desc, &desc->q, index),
        .dk = job->dk + linear_offset(desc, &desc->k, index),
        .dv = job->dv + linear_offset(desc, &desc->v, index),
    };
}

/* (g | -e) of a piece of queries: what multiplies (v | 1) in the gradients of their weights. */
static void put_slopes(const linear_desc *desc, const backward_head *head, tile_range queries, float *slopes) {
    const int64_t stride = head->in.o_stride;
    for (int64_t t = queries.begin; t < queries.end; t++, slopes += state_columns(desc)) {
        const float factor = head->denominator == NULL ? 1.0f : 1.0f / head->denominator[t];
        vf along = vf_splat(0.0f);
        for (int64_t c = 0; c < desc->value_dim; c += LANES) {
            const int64_t lanes = desc->value_dim - c;
            const vf g = factor * vf_load_first(head->d_o + t * stride + c, lanes);
            if (head->denominator != NULL) {
                along += g * vf_load_first(head->o + t * stride + c, lanes);
            }
            vf_store_first(slopes + c, g, lanes);
        }
        slopes[desc->value_dim] = head->denominator == NULL ? 0.0f : -vf_sum(along);
    }
}

/* Turns the scores and g . v of a query into its weights and the gradients of its scores, 0 where it does not see the
 * key. */
static void differentiate_row(bool taylor, float e, float *weights, float *scores, int64_t visible, int64_t storage) {
    const vf zero = vf_splat(0.0f);
    int64_t s = 0;
    for (; s < visible; s += LANES) {
        const vf score = vf_load(weights + s);
        vf weight = taylor ? score * (0.5f * score + 1.0f) + 1.0f : score;
        vf slope = vf_load(scores + s) - e;
        slope = taylor ? slope * (score + 1.0f) : slope;
        if (s + LANES > visible) {
            const vi lanes = score_lanes(s, visible);
            weight = vf_select(lanes, weight, zero);
            slope = vf_select(lanes, slope, zero);
        }
        vf_store(weights + s, weight);
        vf_store(scores + s, slope);
    }
    memset(weights + s, 0, (size_t) (storage - s) * sizeof *weights);
    memset(scores + s, 0, (size_t) (storage - s) * sizeof *scores);
}

/* Recomputes the weights of a tile, and the gradients of its scores. */
static void recompute(const linear_desc *desc, const backward_head *head, const linear_tile *tile,
                      const backward_scratch *scratch) {
    const int64_t columns = state_columns(desc);
    tile_scores(desc, &head->in, tile, scratch->weights);
    pan_gemm(false, true, tile->queries, tile->keys, desc->value_dim, 1.0f, scratch->slopes, columns,
             head->in.v + tile->first_key * head->in.v_stride, head->in.v_stride, 0.0f, scratch->scores, tile->storage);
    for (int64_t r = 0; r < tile->queries; r++) {
        float *scores = scratch->scores + r * tile->storage;
        float e = -scratch->slopes[r * columns + desc->value_dim];
        if (tile->first_query + r == 0 && head->denominator != NULL) {
            /* The only value: o = w v / n, so that g . v - e is g . v epsilon / n, without cancellation. */
            scores[0] *= desc->epsilon / head->denominator[0];
            e = 0.0f;
        }
        differentiate_row(is_taylor(desc), e, scratch->weights + r * tile->storage, scores, visible_keys(tile, r),
                          tile->storage);
    }
}

/* dq += scale ds k, dk += scale ds^T q, dv += w^T g */
static void add_pairs(const linear_desc *desc, const backward_head *head, const linear_tile *tile, bool first,
                      const backward_scratch *scratch) {
    const linear_head *in = &head->in;
    causal_product product = tile_product(tile, false);
    product.n = desc->feature_dim;
    product.alpha = score_scale(desc);
    product.beta = first ? 0.0f : 1.0f;
    product.w = scratch->scores;
    product.x = in->k + tile->first_key * in->k_stride;
    product.x_stride = in->k_stride;
    product.c = head->dq + tile->first_query * in->q_stride;
    product.c_stride = in->q_stride;
    causal_multiply(&product, scratch->product);
    product = tile_product(tile, true);
    product.n = desc->feature_dim;
    product.alpha = score_scale(desc);
    product.beta = 1.0f;
    product.w = scratch->scores;
    product.x = in->q + tile->first_query * in->q_stride;
    product.x_stride = in->q_stride;
    product.c = head->dk + tile->first_key * in->k_stride;
    product.c_stride = in->k_stride;
    causal_multiply(&product, scratch->product);
    product.n = desc->value_dim;
    product.alpha = 1.0f;
    product.w = scratch->weights;
    product.x = scratch->slopes;
    product.x_stride = state_columns(desc);
    product.c = head->dv + tile->first_key * in->v_stride;
    product.c_stride = in->v_stride;
    causal_multiply(&product, scratch->product);
}

/* The piece's pairs with its chunk, and its queries' gradients through the state before the chunk. */
static void query_piece(const linear_desc *desc, const backward_head *head, int64_t first_key, tile_range queries,
                        const backward_scratch *scratch) {
    const int64_t q = queries.begin * head->in.q_stride;
    const linear_tile tile = linear_tile_of(first_key, queries);
    put_slopes(desc, head, queries, scratch->slopes);
    if (first_key > 0) {
        differentiate_features(desc, head->in.q + q, head->in.q_stride, tile.queries, scratch->slopes, scratch->state,
                               false, head->dq + q, &scratch->features);
    }
    recompute(desc, head, &tile, scratch);
    add_pairs(desc, head, &tile, first_key == 0, scratch);
}

static void add_keys_to_state(const linear_desc *desc, const linear_head *head, tile_range keys,
                              const backward_scratch *scratch) {
    const int64_t rows = keys.end - keys.begin;
    const feature_matrix phi =
        piece_features(desc, head->k + keys.begin * head->k_stride, head->k_stride, rows, &scratch->features);
    extend_values(desc, head->v + keys.begin * head->v_stride, head->v_stride, rows, scratch->values);
    add_to_state(desc, phi, rows, scratch->values, scratch->state);
}

static void add_queries_to_state(const linear_desc *desc, const backward_head *head, tile_range queries,
                                 const backward_scratch *scratch) {
    const int64_t rows = queries.end - queries.begin;
    const feature_matrix phi = piece_features(desc, head->in.q + queries.begin * head->in.q_stride, head->in.q_stride,
                                              rows, &scratch->features);
    put_slopes(desc, head, queries, scratch->slopes);
    add_to_state(desc, phi, rows, scratch->slopes, scratch->state);
}

/* The gradients of a piece of keys and values through the state of the queries after their chunk. */
static void key_piece(const linear_desc *desc, const backward_head *head, tile_range keys,
                      const backward_scratch *scratch) {
    const linear_head *in = &head->in;
    const int64_t columns = state_columns(desc), rows = keys.end - keys.begin;
    const float *k = in->k + keys.begin * in->k_stride;
    const feature_matrix phi = piece_features(desc, k, in->k_stride, rows, &scratch->features);
    pan_gemm(phi.transposed, false, rows, desc->value_dim, linear_features(desc), 1.0f, phi.values, phi.stride,
             scratch->state, columns, 1.0f, head->dv + keys.begin * in->v_stride, in->v_stride);
    extend_values(desc, in->v + keys.begin * in->v_stride, in->v_stride, rows, scratch->values);
    differentiate_features(desc, k, in->k_stride, rows, scratch->values, scratch->state, true,
                           head->dk + keys.begin * in->k_stride, &scratch->features);
}

static tile_range piece_at(int64_t begin, tile_range chunk) {
    return (tile_range){begin, min_i64(begin + PIECE, chunk.end)};
}

static void forward_pass(const backward_job *job, const backward_head *head, const backward_scratch *scratch) {
    const linear_desc *desc = job->desc;
    memset(scratch->state, 0, (size_t) state_floats(desc) * sizeof(float));
    for (int64_t begin = 0; begin < desc->length; begin += job->chunk) {
        const tile_range chunk = {begin, min_i64(begin + job->chunk, desc->length)};
        const int64_t rows = chunk.end - chunk.begin;
        zero_rows(head->dk + begin * head->in.k_stride, head->in.k_stride, rows, desc->feature_dim);
        zero_rows(head->dv + begin * head->in.v_stride, head->in.v_stride, rows, desc->value_dim);
        for (int64_t t = begin; t < chunk.end; t += PIECE) {
            query_piece(desc, head, begin, piece_at(t, chunk), scratch);
        }
        for (int64_t s = begin; s < chunk.end && chunk.end < desc->length; s += PIECE) {
            add_keys_to_state(desc, &head->in, piece_at(s, chunk), scratch);
        }
    }
}

static void backward_pass(const backward_job *job, const backward_head *head, const backward_scratch *scratch) {
    const linear_desc *desc = job->desc;
    memset(scratch->state, 0, (size_t) state_floats(desc) * sizeof(float));
    for (int64_t begin = (desc->length - 1) / job->chunk * job->chunk; begin >= 0; begin -= job->chunk) {
        const tile_range chunk = {begin, min_i64(begin + job->chunk, desc->length)};
        for (int64_t s = begin; s < chunk.end && chunk.end < desc->length; s += PIECE) {
            key_piece(desc, head, piece_at(s, chunk), scratch);
        }
        for (int64_t t = begin; t < chunk.end && begin > 0; t += PIECE) {
            add_queries_to_state(desc, head, piece_at(t, chunk), scratch);
        }
    }
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    const backward_job *job = context;
    const backward_scratch scratch = scratch_of(job, worker);
    const tile_range heads = tile_at(task, job->task_heads, job->desc->batch * job->desc->heads);
    for (int64_t index = heads.begin; index < heads.end; index++) {
        const backward_head head = head_of(job, index);
        forward_pass(job, &head, &scratch);
        if (job->chunk < job->desc->length) {
            backward_pass(job, &head, &scratch);
        }
    }
}

pan_status PAN_BODY(linear_attention_backward_workspace_size)(pan_stream *stream, const linear_desc *desc,
                                                              int64_t *bytes) {
    *bytes = pan_pool_threads(stream->device->pool) * worker_bytes(desc);
    return PAN_OK;
}

pan_status PAN_BODY(linear_attention_backward)(pan_stream *stream, const linear_desc *desc, const void *q,
                                               const void *k, const void *v, const void *o, const float *denominator,
                                               const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                               int64_t workspace_bytes) {
    (void) workspace_bytes;
    backward_job job = {.desc = desc,
                        .chunk = pan_chunk_length(desc),
                        .task_heads = linear_heads_per_task(desc, 2.5),
                        .q = q,
                        .k = k,
                        .v = v,
                        .o = o,
                        .denominator = denominator,
                        .d_o = d_o,
                        .dq = dq,
                        .dk = dk,
                        .dv = dv,
                        .workspace = workspace,
                        .worker_bytes = worker_bytes(desc)};
    pan_parallel(stream->device->pool, ceil_div(desc->batch * desc->heads, job.task_heads), backward_task, &job);
    return PAN_OK;
}
