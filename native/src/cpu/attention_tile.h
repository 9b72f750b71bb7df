/* What attention forward and backward share: how heads are cut, and products over causal tiles. */
#ifndef PAN_CPU_ATTENTION_TILE_H
#define PAN_CPU_ATTENTION_TILE_H

#include "attention_queries.h"
#include "score_row.h"

/* Work worth a task of its own; and what a tile costs beside its products, in the same unit. */
enum { ATTENTION_TASK_FLOPS = 2 << 20, ATTENTION_TILE_FLOPS = 1 << 16 };

/* How many short heads make a task; `products` is the number of matrix products of a tile. */
static inline int64_t heads_per_task(const pan_attention_desc *desc, int64_t products) {
    const double queries = (double) statistics_count(desc) / ((double) desc->batch * (double) desc->heads);
    const double scores = queries * (double) min_i64(desc->length, attention_window(desc) + QUERY_BLOCK);
    const double flops = 2.0 * (double) products * scores * (double) desc->head_dim;
    const int64_t heads = (int64_t) (ATTENTION_TASK_FLOPS / (flops + ATTENTION_TILE_FLOPS));
    return heads > 1 ? heads : 1;
}

static inline void zero_rows(float *x, int64_t stride, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        memset(x + r * stride, 0, (size_t) columns * sizeof *x);
    }
}

/* Scores of a tile of keys x queries. */
static inline int64_t tile_bytes(int64_t key_block) {
    return align_up(QUERY_BLOCK * key_block * (int64_t) sizeof(float));
}

/* Dropout of the softmax weights. */
typedef struct weight_dropout {
    const pan_random_state *random; /* NULL: none */
    uint64_t key;
    uint32_t threshold;
    float scale; /* of what is kept */
} weight_dropout;

static inline weight_dropout dropout_of(const pan_attention_desc *desc, const pan_random_state *random) {
    return (weight_dropout){.random = desc->dropout_probability > 0.0f ? random : NULL,
                            .key = desc->dropout_key,
                            .threshold = pan_random_threshold(desc->dropout_probability),
                            .scale = (float) (1.0 / (1.0 - (double) desc->dropout_probability))};
}

/* Multiplies a query's weights of `count` keys by dropout's factors. */
static inline void drop_weights(const weight_dropout *dropout, uint64_t row, int64_t first_key, float *weights,
                                int64_t count) {
    if (dropout->random == NULL) {
        return;
    }
    const uint64_t state = pan_random_row(dropout->random, dropout->key, row);
    for (int64_t s = 0; s < count; s += LANES) {
        const vf factor = vf_keep_factor(state, first_key + s, dropout->threshold, dropout->scale);
        vf_store(weights + s, vf_load(weights + s) * factor);
    }
}

/* Turns a query's scores of the keys that it sees into weights relative to its largest score so far; those in front of
 * them become 0. `max` and `sum` are those of the earlier scores, at first -Inf and 0. Returns the factor by which what
 * was summed with earlier weights shrinks. */
static inline float weigh_scores(float *row, tile_range visible, float *max, float *sum) {
    for (int64_t s = 0; s < min_i64(visible.begin, visible.end); s++) {
        row[s] = -INFINITY;
    }
    const float largest = score_max(row, visible.end, *max);
    const float shift = score_shift(largest);
    const float factor = largest > *max && *max > -INFINITY ? expf(score_shift(*max) - shift) : 1.0f;
    *max = largest;
    *sum = *sum * factor + score_exp(row, visible.end, shift);
    return factor;
}

/* A product over a causal tile: c (m, n) = alpha w x + beta c, where element (i, j) of w belongs to a query and a key
 * and is 0 where the query does not see the key. w is stored as queries x keys; transposed, its rows i are the keys. */
typedef struct causal_product {
    bool transposed;
    int64_t m;
    int64_t n;
    int64_t k;
    const int64_t *position; /* of each query, ascending: it sees the keys up to there ... */
    int64_t window;          /* ... and this many in all */
    int64_t first_key;       /* position of key 0 */
    float alpha;
    float beta;
    const float *w;
    int64_t w_stride;
    const float *x; /* (k, n) */
    int64_t x_stride;
    float *c;
    int64_t c_stride;
} causal_product;

/* Floats of scratch memory that causal_multiply() needs where m + k <= rows. */
static inline int64_t causal_scratch_floats(int64_t rows, int64_t head_dim) {
    return rows * head_dim;
}

/* c = alpha w x + beta c. A zero of w hides its row of x even if that is NaN or infinite, as 0 * x would not. */
void PAN_CONCAT(pan_causal_multiply_, PAN_TIER, )(const causal_product *product, float *scratch);
#define causal_multiply PAN_CONCAT(pan_causal_multiply_, PAN_TIER, )

#endif
