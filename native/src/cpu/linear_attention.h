/* What linear attention forward and backward share: how heads lie, features, and the causal pairs of a chunk.
 *
 * Positions are taken in pieces. Features lie with the positions of a piece side by side, so that a vector holds one
 * feature of several positions. */
#ifndef PAN_CPU_LINEAR_ATTENTION_H
#define PAN_CPU_LINEAR_ATTENTION_H

#include <math.h>

#include "../core/linear_attention.h"
#include "attention_tile.h"

enum { PIECE = QUERY_BLOCK };

typedef pan_linear_attention_desc linear_desc;

/* One head of one example. */
typedef struct linear_head {
    int64_t index; /* over the batch */
    const float *q, *k, *v;
    int64_t q_stride, k_stride, v_stride, o_stride;
} linear_head;

static inline int64_t linear_offset(const linear_desc *desc, const pan_head_layout *layout, int64_t index) {
    return index / desc->heads * layout->batch_stride + index % desc->heads * layout->head_stride;
}

/* Between rows. An only row may have any stride; a GEMM wants a valid one. */
static inline int64_t linear_stride(const linear_desc *desc, const pan_head_layout *layout, int64_t dim) {
    return desc->length > 1 ? layout->length_stride : dim;
}

static inline linear_head linear_head_of(const linear_desc *desc, int64_t index, const float *q, const float *k,
                                         const float *v) {
    return (linear_head){.index = index,
                         .q = q + linear_offset(desc, &desc->q, index),
                         .k = k + linear_offset(desc, &desc->k, index),
                         .v = v + linear_offset(desc, &desc->v, index),
                         .q_stride = linear_stride(desc, &desc->q, desc->feature_dim),
                         .k_stride = linear_stride(desc, &desc->k, desc->feature_dim),
                         .v_stride = linear_stride(desc, &desc->v, desc->value_dim),
                         .o_stride = linear_stride(desc, &desc->o, desc->value_dim)};
}

/* Columns of the state, and of rows that are multiplied with it: the values' channels and one for the weights. */
static inline int64_t state_columns(const linear_desc *desc) {
    return desc->value_dim + 1;
}

static inline int64_t linear_features(const linear_desc *desc) {
    return pan_feature_count(desc->features, desc->feature_dim);
}

static inline int64_t state_floats(const linear_desc *desc) {
    return linear_features(desc) * state_columns(desc);
}

static inline bool is_taylor(const linear_desc *desc) {
    return desc->features == PAN_FEATURES_TAYLOR;
}

/* Of q . k. */
static inline float score_scale(const linear_desc *desc) {
    return is_taylor(desc) ? (float) (1.0 / sqrt((double) desc->feature_dim)) : 1.0f;
}

/* How many heads make a task; `products` is how many times as much work as a forward product there is. */
static inline int64_t linear_heads_per_task(const linear_desc *desc, double products) {
    const double pairs = 0.5 * (double) pan_chunk_length(desc) * (double) (desc->feature_dim + desc->value_dim);
    const double flops = products * 2.0 * (double) desc->length * (pairs + (double) state_floats(desc));
    const int64_t heads = (int64_t) (ATTENTION_TASK_FLOPS / (flops + ATTENTION_TILE_FLOPS));
    return heads > 1 ? heads : 1;
}

static inline int64_t floats_bytes(int64_t count) {
    return align_up(count * (int64_t) sizeof(float));
}

/* Consecutive slices of a workspace. */
static inline float *take_floats(char **memory, int64_t count) {
    float *taken = (float *) *memory;
    *memory += floats_bytes(count);
    return taken;
}

/* The rows of a piece as a matrix of features, as it is given to a GEMM: (rows, features), or transposed. */
typedef struct feature_matrix {
    const float *values;
    int64_t stride;
    bool transposed;
} feature_matrix;

/* Memory for features of a piece and their gradients. */
typedef struct feature_scratch {
    float *x;       /* (feature_dim, PIECE): the piece, transposed */
    float *phi;     /* (features, PIECE) */
    float *x_slope; /* gradients; only where there is a backward pass */
    float *phi_slope;
} feature_scratch;

static inline int64_t feature_scratch_bytes(const linear_desc *desc, bool slopes) {
    const int64_t bytes = floats_bytes(desc->feature_dim * PIECE) + floats_bytes(linear_features(desc) * PIECE);
    return is_taylor(desc) ? (slopes ? 2 : 1) * bytes : 0;
}

static inline feature_scratch take_feature_scratch(const linear_desc *desc, char **memory, bool slopes) {
    feature_scratch scratch = {0};
    if (is_taylor(desc)) {
        scratch.x = take_floats(memory, desc->feature_dim * PIECE);
        scratch.phi = take_floats(memory, linear_features(desc) * PIECE);
    }
    if (is_taylor(desc) && slopes) {
        scratch.x_slope = take_floats(memory, desc->feature_dim * PIECE);
        scratch.phi_slope = take_floats(memory, linear_features(desc) * PIECE);
    }
    return scratch;
}

/* Features of `rows` rows of q or k. */
feature_matrix PAN_CONCAT(pan_piece_features_, PAN_TIER, )(const linear_desc *desc, const float *x, int64_t stride,
                                                           int64_t rows, const feature_scratch *scratch);
#define piece_features PAN_CONCAT(pan_piece_features_, PAN_TIER, )

/* Adds to the gradient of q or k, or writes it, what comes through the features: their gradient is y state^T, where y
 * has state_columns() columns. */
void PAN_CONCAT(pan_differentiate_features_, PAN_TIER, )(const linear_desc *desc, const float *x, int64_t stride,
                                                         int64_t rows, const float *y, const float *state, bool add,
                                                         float *dx, const feature_scratch *scratch);
#define differentiate_features PAN_CONCAT(pan_differentiate_features_, PAN_TIER, )

/* state += phi^T y */
static inline void add_to_state(const linear_desc *desc, feature_matrix phi, int64_t rows, const float *y,
                                float *state) {
    const int64_t columns = state_columns(desc);
    pan_gemm(!phi.transposed, false, linear_features(desc), columns, rows, 1.0f, phi.values, phi.stride, y, columns,
             1.0f, state, columns);
}

/* (v | 1) of a piece. */
static inline void extend_values(const linear_desc *desc, const float *v, int64_t stride, int64_t rows, float *y) {
    for (int64_t t = 0; t < rows; t++) {
        memcpy(y + t * state_columns(desc), v + t * stride, (size_t) desc->value_dim * sizeof *y);
        y[t * state_columns(desc) + desc->value_dim] = 1.0f;
    }
}

/* The pairs of a piece of queries with the keys of their chunk, up to the last of them. */
typedef struct linear_tile {
    int64_t first_query;
    int64_t queries;
    int64_t first_key;
    int64_t keys;
    int64_t storage; /* of a row of scores */
    int64_t position[PIECE];
} linear_tile;

static inline linear_tile linear_tile_of(int64_t first_key, tile_range queries) {
    linear_tile tile = {.first_query = queries.begin,
                        .queries = queries.end - queries.begin,
                        .first_key = first_key,
                        .keys = queries.end - first_key,
                        .storage = score_storage(queries.end - first_key)};
    for (int64_t r = 0; r < tile.queries; r++) {
        tile.position[r] = queries.begin + r;
    }
    return tile;
}

/* Keys that query r sees. */
static inline int64_t visible_keys(const linear_tile *tile, int64_t r) {
    return tile->first_query + r - tile->first_key + 1;
}

/* Scores of a tile, of whole rows; those of keys that a query does not see too. */
static inline void tile_scores(const linear_desc *desc, const linear_head *head, const linear_tile *tile,
                               float *scores) {
    pan_gemm(false, true, tile->queries, tile->keys, desc->feature_dim, score_scale(desc),
             head->q + tile->first_query * head->q_stride, head->q_stride, head->k + tile->first_key * head->k_stride,
             head->k_stride, 0.0f, scores, tile->storage);
}

/* A causal product with the rows of a tile; what is not set is the caller's. */
static inline causal_product tile_product(const linear_tile *tile, bool transposed) {
    return (causal_product){.transposed = transposed,
                            .m = transposed ? tile->keys : tile->queries,
                            .k = transposed ? tile->queries : tile->keys,
                            .position = tile->position,
                            .window = tile->first_query + tile->queries,
                            .first_key = tile->first_key,
                            .alpha = 1.0f,
                            .w_stride = tile->storage};
}

/* Scratch floats for a product over a tile. */
static inline int64_t tile_product_floats(const linear_desc *desc) {
    const int64_t columns = desc->feature_dim > desc->value_dim ? desc->feature_dim : desc->value_dim;
    return causal_scratch_floats(PIECE + pan_chunk_length(desc), columns);
}

static inline int64_t tile_scores_floats(const linear_desc *desc) {
    return PIECE * score_storage(pan_chunk_length(desc));
}

#endif
