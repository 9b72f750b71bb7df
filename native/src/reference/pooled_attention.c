/* Attention to pooled blocks. Scores are recomputed wherever they are needed, so the only scratch is one row. */
#include "../core/pooled_blocks.h"
#include "real.h"

/* A call's arrays at one query head of one example, and its key head's. */
typedef struct head {
    const pan_pooled_attention_desc *desc;
    const int32_t *excluded;
    int64_t b, kv_head;
    const real *q, *k, *v, *o, *d_o;
    const real *lse, *d_lse; /* d_lse may be NULL */
} head;

static int64_t offset(const pan_head_layout *layout, int64_t b, int64_t h) {
    return b * layout->batch_stride + h * layout->head_stride;
}

static double dot(const real *a, const real *b, int64_t count) {
    double sum = 0.0;
    for (int64_t c = 0; c < count; c++) {
        sum += (double) a[c] * b[c];
    }
    return sum;
}

static void add_row(double *sum, double factor, const real *row, int64_t count) {
    for (int64_t c = 0; c < count; c++) {
        sum[c] += factor * row[c];
    }
}

static bool is_excluded(const head *at, int64_t t, int64_t block) {
    const pan_block_lists *lists = &at->desc->excluded;
    if (lists->slots == 0) {
        return false;
    }
    const int32_t *list = at->excluded + pan_block_list_at(lists, at->desc->length, at->b, at->kv_head, t);
    for (int64_t i = 0; i < lists->slots; i++) {
        if (list[i] == block) {
            return true;
        }
    }
    return false;
}

/* Whether key j is in the set of query t. */
static bool sees(const head *at, int64_t t, int64_t j) {
    const pan_pooled_attention_desc *desc = at->desc;
    const int64_t block = j - desc->always;
    return block < 0 || ((block + 1) * desc->block_size <= desc->first + t && !is_excluded(at, t, block));
}

static double score(const head *at, int64_t t, int64_t j) {
    const pan_pooled_attention_desc *desc = at->desc;
    const double product = dot(at->q + t * desc->q.length_stride, at->k + j * desc->k.length_stride, desc->head_dim);
    return (double) desc->scale * product + (j >= desc->always ? (double) desc->bias : 0.0);
}

/* exp(x - lse); 0 where there is nothing to sum up. */
static double weight_of(double x, double lse) {
    return lse == -INFINITY ? 0.0 : exp(x - lse);
}

pan_status PAN_BODY(pooled_attention_forward_workspace_size)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                             int64_t *bytes) {
    (void) stream;
    *bytes = (pan_pooled_keys(desc) + desc->head_dim) * (int64_t) sizeof(double);
    return PAN_OK;
}

/* Fills weight[j] for all keys, 0 where j is not in S(t), and returns lse[t]. */
static double softmax_row(const head *at, int64_t t, double *weight) {
    const int64_t keys = pan_pooled_keys(at->desc);
    double maximum = -INFINITY;
    for (int64_t j = 0; j < keys; j++) {
        weight[j] = sees(at, t, j) ? score(at, t, j) : -INFINITY;
        maximum = weight[j] > maximum ? weight[j] : maximum;
    }
    const double shift = isfinite(maximum) ? maximum : 0.0;
    double sum = 0.0;
    for (int64_t j = 0; j < keys; j++) {
        sum += exp(weight[j] - shift);
    }
    const double lse = shift + log(sum);
    for (int64_t j = 0; j < keys; j++) {
        weight[j] = weight_of(weight[j], lse);
    }
    return lse;
}

/* `scratch` has room for a weight of each key and a sum of each channel. */
static void head_forward(const head *at, real *o, real *lse, double *scratch) {
    const pan_pooled_attention_desc *desc = at->desc;
    double *weight = scratch, *sum = scratch + pan_pooled_keys(desc);
    for (int64_t t = 0; t < desc->length; t++) {
        lse[t] = (real) softmax_row(at, t, weight);
        for (int64_t c = 0; c < desc->head_dim; c++) {
            sum[c] = 0.0;
        }
        for (int64_t j = 0; j < pan_pooled_keys(desc); j++) {
            if (sees(at, t, j)) {
                add_row(sum, weight[j], at->v + j * desc->v.length_stride, desc->head_dim);
            }
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            o[t * desc->o.length_stride + c] = (real) sum[c];
        }
    }
}

pan_status PAN_BODY(pooled_attention_forward)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                              const int32_t *excluded, const void *q, const void *k, const void *v,
                                              void *o, float *lse, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            const int64_t kv_head = h / (desc->heads / desc->kv_heads);
            const head at = {.desc = desc,
                             .excluded = excluded,
                             .b = b,
                             .kv_head = kv_head,
                             .q = (const real *) q + offset(&desc->q, b, h),
                             .k = (const real *) k + offset(&desc->k, b, kv_head),
                             .v = (const real *) v + offset(&desc->v, b, kv_head)};
            head_forward(&at, (real *) o + offset(&desc->o, b, h), REAL_OUT(lse) + (b * desc->heads + h) * desc->length,
                         workspace);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(pooled_attention_backward_workspace_size)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                                              int64_t *bytes) {
    (void) stream;
    *bytes = 2 * desc->head_dim * (int64_t) sizeof(double);
    return PAN_OK;
}

/* p[t,j], and the gradient of its score. */
typedef struct pair {
    double probability, gradient;
} pair;

static pair backward_pair(const head *at, int64_t t, int64_t j) {
    const pan_pooled_attention_desc *desc = at->desc;
    const real *d_o = at->d_o + t * desc->o.length_stride;
    const double delta = dot(d_o, at->o + t * desc->o.length_stride, desc->head_dim);
    const double along = dot(d_o, at->v + j * desc->v.length_stride, desc->head_dim);
    const double d_lse = at->d_lse == NULL ? 0.0 : at->d_lse[t];
    const double probability = weight_of(score(at, t, j), at->lse[t]);
    return (pair){probability, probability * (along - delta + d_lse)};
}

static void query_gradient(const head *at, real *dq, double *sum) {
    const pan_pooled_attention_desc *desc = at->desc;
    for (int64_t t = 0; t < desc->length; t++) {
        for (int64_t c = 0; c < desc->head_dim; c++) {
            sum[c] = 0.0;
        }
        for (int64_t j = 0; j < pan_pooled_keys(desc); j++) {
            if (sees(at, t, j)) {
                add_row(sum, backward_pair(at, t, j).gradient, at->k + j * desc->k.length_stride, desc->head_dim);
            }
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            dq[t * desc->q.length_stride + c] = (real) (desc->scale * sum[c]);
        }
    }
}

/* Adds what the queries of a head give to the gradients of key j and its value. */
static void add_key_gradient(const head *at, int64_t j, double *k_sum, double *v_sum) {
    const pan_pooled_attention_desc *desc = at->desc;
    for (int64_t t = 0; t < desc->length; t++) {
        if (!sees(at, t, j)) {
            continue;
        }
        const pair of = backward_pair(at, t, j);
        add_row(k_sum, of.gradient, at->q + t * desc->q.length_stride, desc->head_dim);
        add_row(v_sum, of.probability, at->d_o + t * desc->o.length_stride, desc->head_dim);
    }
}

/* The arguments of backward, where all heads' arrays begin. */
typedef struct backward_arrays {
    const int32_t *excluded;
    const real *q, *k, *v, *o, *d_o, *lse, *d_lse;
} backward_arrays;

static head backward_head(const pan_pooled_attention_desc *desc, const backward_arrays *all, int64_t b, int64_t h) {
    const int64_t kv_head = h / (desc->heads / desc->kv_heads), statistics = (b * desc->heads + h) * desc->length;
    return (head){.desc = desc,
                  .excluded = all->excluded,
                  .b = b,
                  .kv_head = kv_head,
                  .q = all->q + offset(&desc->q, b, h),
                  .k = all->k + offset(&desc->k, b, kv_head),
                  .v = all->v + offset(&desc->v, b, kv_head),
                  .o = all->o + offset(&desc->o, b, h),
                  .d_o = all->d_o + offset(&desc->o, b, h),
                  .lse = all->lse + statistics,
                  .d_lse = all->d_lse == NULL ? NULL : all->d_lse + statistics};
}

/* Of a head of keys, over the query heads that share it. */
static void key_and_value_gradient(const pan_pooled_attention_desc *desc, const backward_arrays *all, int64_t b,
                                   int64_t kv_head, real *dk, real *dv, double *sum) {
    const int64_t group = desc->heads / desc->kv_heads;
    double *k_sum = sum, *v_sum = sum + desc->head_dim;
    for (int64_t j = 0; j < pan_pooled_keys(desc); j++) {
        for (int64_t c = 0; c < 2 * desc->head_dim; c++) {
            sum[c] = 0.0;
        }
        for (int64_t h = kv_head * group; h < (kv_head + 1) * group; h++) {
            const head at = backward_head(desc, all, b, h);
            add_key_gradient(&at, j, k_sum, v_sum);
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            dk[j * desc->k.length_stride + c] = (real) (desc->scale * k_sum[c]);
            dv[j * desc->v.length_stride + c] = (real) v_sum[c];
        }
    }
}

pan_status PAN_BODY(pooled_attention_backward)(pan_stream *stream, const pan_pooled_attention_desc *desc,
                                               const int32_t *excluded, const void *q, const void *k, const void *v,
                                               const void *o, const float *lse, const void *d_o, const float *d_lse,
                                               void *dq, void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    const backward_arrays all = {excluded, q, k, v, o, d_o, REAL(lse), REAL(d_lse)};
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            const head at = backward_head(desc, &all, b, h);
            query_gradient(&at, (real *) dq + offset(&desc->q, b, h), workspace);
        }
        for (int64_t h = 0; h < desc->kv_heads; h++) {
            key_and_value_gradient(desc, &all, b, h, (real *) dk + offset(&desc->k, b, h),
                                   (real *) dv + offset(&desc->v, b, h), workspace);
        }
    }
    return PAN_OK;
}
