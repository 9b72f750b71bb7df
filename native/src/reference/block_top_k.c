/* The choice of blocks: one is chosen if fewer than k come before it. */
#include "../core/pooled_blocks.h"
#include "real.h"

pan_status PAN_BODY(block_top_k_workspace_size)(pan_stream *stream, const pan_block_top_k_desc *desc, int64_t *bytes) {
    (void) stream;
    *bytes = desc->blocks * (int64_t) sizeof(double);
    return PAN_OK;
}

/* x[t,j] of a head of keys. */
static double score(const pan_block_top_k_desc *desc, const real *q, const real *key, int64_t t, int64_t j) {
    const int64_t group = desc->heads / desc->kv_heads;
    double sum = 0.0;
    for (int64_t h = 0; h < group; h++) {
        for (int64_t c = 0; c < desc->head_dim; c++) {
            sum += (double) q[t * desc->q.length_stride + h * desc->q.head_stride + c] *
                   key[j * desc->key.length_stride + c];
        }
    }
    return (double) desc->scale * sum / (double) group;
}

/* log(exp(-1000) + sum_i exp(x[i])) */
static double log_sum_exp(const double *x, int64_t count) {
    double maximum = (double) PAN_DUMMY_SCORE;
    for (int64_t i = 0; i < count; i++) {
        maximum = x[i] > maximum ? x[i] : maximum;
    }
    double sum = exp((double) PAN_DUMMY_SCORE - maximum);
    for (int64_t i = 0; i < count; i++) {
        sum += exp(x[i] - maximum);
    }
    return maximum + log(sum);
}

/* How many of the scores come before that of block j; a NaN comes before none. */
static int64_t blocks_before(const double *x, int64_t count, int64_t j) {
    int64_t before = 0;
    for (int64_t i = 0; i < count; i++) {
        before += x[i] > x[j] || (x[i] == x[j] && i < j);
    }
    return before;
}

static void list_blocks(const pan_block_top_k_desc *desc, const double *x, int64_t count, int32_t *list) {
    const double lse = log_sum_exp(x, count);
    int64_t listed = 0;
    for (int64_t j = 0; j < count; j++) {
        const bool heavy = desc->min_weight < 0.0f || exp(x[j] - lse) > (double) desc->min_weight;
        if (x[j] > -INFINITY && heavy && blocks_before(x, count, j) < desc->k) {
            list[listed++] = (int32_t) j;
        }
    }
    for (; listed < desc->k; listed++) {
        list[listed] = -1;
    }
}

pan_status PAN_BODY(block_top_k)(pan_stream *stream, const pan_block_top_k_desc *desc, const void *q, const void *key,
                                 int32_t *listed, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    const int64_t group = desc->heads / desc->kv_heads;
    double *x = workspace;
    int32_t *list = listed;
    for (int64_t head = 0; head < desc->batch * desc->kv_heads; head++) {
        const int64_t b = head / desc->kv_heads, h = head % desc->kv_heads;
        const real *queries = (const real *) q + b * desc->q.batch_stride + h * group * desc->q.head_stride;
        const real *keys =
            desc->blocks == 0 ? NULL : (const real *) key + b * desc->key.batch_stride + h * desc->key.head_stride;
        for (int64_t t = 0; t < desc->length; t++, list += desc->k + desc->own) {
            const int64_t position = desc->first + t;
            const int64_t count = pan_ended_blocks(desc->blocks, desc->block_size, position);
            for (int64_t j = 0; j < count; j++) {
                x[j] = score(desc, queries, keys, t, j);
            }
            list_blocks(desc, x, count, list);
            if (desc->own) {
                list[desc->k] = (int32_t) (position / desc->block_size);
            }
        }
    }
    return PAN_OK;
}
