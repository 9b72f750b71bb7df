/* Causal multi-head attention. Scores are recomputed wherever they are needed, so the only scratch is one row. */
#include "real.h"

/* A call's arrays and constants, at one head of one example. */
typedef struct head {
    const pan_attention_desc *desc;
    const pan_random_state *random;
    const real *q, *k, *v, *o, *d_o;
    uint64_t row; /* random row of query 0 */
    uint32_t threshold;
    double keep_scale;
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

static double score(const head *at, int64_t t, int64_t s) {
    const pan_attention_desc *desc = at->desc;
    return (double) desc->scale *
           dot(at->q + t * desc->q.length_stride, at->k + s * desc->k.length_stride, desc->head_dim);
}

/* keep(t,s) / (1 - dropout) */
static double mask(const head *at, int64_t t, int64_t s) {
    if (at->threshold == 0) {
        return 1.0;
    }
    uint64_t row_state = pan_random_row(at->random, at->desc->dropout_key, at->row + (uint64_t) t);
    return pan_random_bits(row_state, (uint32_t) s) >= at->threshold ? at->keep_scale : 0.0;
}

static head make_head(const pan_attention_desc *desc, const pan_random_state *random, int64_t b, int64_t h) {
    return (head){.desc = desc,
                  .random = random,
                  .row = (uint64_t) ((b * desc->heads + h) * desc->length),
                  .threshold = pan_random_threshold(desc->dropout_probability),
                  .keep_scale = 1.0 / (1.0 - (double) desc->dropout_probability)};
}

pan_status PAN_BODY(attention_forward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                      int64_t *bytes) {
    (void) stream;
    *bytes = desc->length * (int64_t) sizeof(double);
    return PAN_OK;
}

static bool has_window(const pan_attention_desc *desc) {
    return desc->window > 0 && desc->window < desc->length;
}

/* The first key that query t sees. */
static int64_t first_key(const pan_attention_desc *desc, int64_t t) {
    return has_window(desc) && t >= desc->window ? t - desc->window + 1 : 0;
}

/* Behind the last query that sees key s. */
static int64_t query_end(const pan_attention_desc *desc, int64_t s) {
    return has_window(desc) && s < desc->length - desc->window ? s + desc->window : desc->length;
}

/* Fills weight[s] = exp(score[t,s] - lse[t]) for the keys that query t sees and returns lse[t]. */
static double softmax_row(const head *at, int64_t t, double *weight) {
    double maximum = -INFINITY;
    for (int64_t s = first_key(at->desc, t); s <= t; s++) {
        weight[s] = score(at, t, s);
        maximum = weight[s] > maximum ? weight[s] : maximum;
    }
    double shift = isfinite(maximum) ? maximum : 0.0;
    double sum = 0.0;
    for (int64_t s = first_key(at->desc, t); s <= t; s++) {
        sum += exp(weight[s] - shift);
    }
    double lse = shift + log(sum);
    for (int64_t s = first_key(at->desc, t); s <= t; s++) {
        weight[s] = exp(weight[s] - lse);
    }
    return lse;
}

static void head_forward(const head *at, real *o, real *lse, double *weight) {
    const pan_attention_desc *desc = at->desc;
    for (int64_t t = 0; t < desc->length; t++) {
        lse[t] = (real) softmax_row(at, t, weight);
        for (int64_t s = first_key(at->desc, t); s <= t; s++) {
            weight[s] *= mask(at, t, s);
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            double sum = 0.0;
            for (int64_t s = first_key(at->desc, t); s <= t; s++) {
                sum += weight[s] * at->v[s * desc->v.length_stride + c];
            }
            o[t * desc->o.length_stride + c] = (real) sum;
        }
    }
}

pan_status PAN_BODY(attention_forward)(pan_stream *stream, const pan_attention_desc *desc,
                                       const pan_random_state *random, const int32_t *row_starts, const void *q,
                                       const void *k, const void *v, void *o, float *lse, void *workspace,
                                       int64_t workspace_bytes) {
    (void) stream;
    (void) row_starts;
    (void) workspace_bytes;
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            head at = make_head(desc, random, b, h);
            at.q = (const real *) q + offset(&desc->q, b, h);
            at.k = (const real *) k + offset(&desc->k, b, h);
            at.v = (const real *) v + offset(&desc->v, b, h);
            head_forward(&at, (real *) o + offset(&desc->o, b, h), REAL_OUT(lse) + (b * desc->heads + h) * desc->length,
                         workspace);
        }
    }
    return PAN_OK;
}

pan_status PAN_BODY(attention_backward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                       int64_t *bytes) {
    (void) stream;
    *bytes = 2 * desc->head_dim * (int64_t) sizeof(double);
    return PAN_OK;
}

/* p[t,s] and the gradient of its score. */
typedef struct pair {
    double probability, gradient, mask;
} pair;

static pair backward_pair(const head *at, const real *lse, int64_t t, int64_t s) {
    const pan_attention_desc *desc = at->desc;
    const real *d_o = at->d_o + t * desc->o.length_stride;
    double delta = dot(d_o, at->o + t * desc->o.length_stride, desc->head_dim);
    pair result = {.probability = exp(score(at, t, s) - lse[t]), .mask = mask(at, t, s)};
    double dv = dot(d_o, at->v + s * desc->v.length_stride, desc->head_dim);
    result.gradient = result.probability * (result.mask * dv - delta);
    return result;
}

static void query_gradient(const head *at, const real *lse, real *dq, double *sum) {
    const pan_attention_desc *desc = at->desc;
    for (int64_t t = 0; t < desc->length; t++) {
        for (int64_t c = 0; c < desc->head_dim; c++) {
            sum[c] = 0.0;
        }
        for (int64_t s = first_key(at->desc, t); s <= t; s++) {
            double gradient = backward_pair(at, lse, t, s).gradient;
            for (int64_t c = 0; c < desc->head_dim; c++) {
                sum[c] += gradient * at->k[s * desc->k.length_stride + c];
            }
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            dq[t * desc->q.length_stride + c] = (real) (desc->scale * sum[c]);
        }
    }
}

static void key_and_value_gradient(const head *at, const real *lse, real *dk, real *dv, double *sum) {
    const pan_attention_desc *desc = at->desc;
    double *k_sum = sum, *v_sum = sum + desc->head_dim;
    for (int64_t s = 0; s < desc->length; s++) {
        for (int64_t c = 0; c < 2 * desc->head_dim; c++) {
            sum[c] = 0.0;
        }
        for (int64_t t = s; t < query_end(desc, s); t++) {
            pair at_pair = backward_pair(at, lse, t, s);
            for (int64_t c = 0; c < desc->head_dim; c++) {
                k_sum[c] += at_pair.gradient * at->q[t * desc->q.length_stride + c];
                v_sum[c] += at_pair.probability * at_pair.mask * at->d_o[t * desc->o.length_stride + c];
            }
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            dk[s * desc->k.length_stride + c] = (real) (desc->scale * k_sum[c]);
            dv[s * desc->v.length_stride + c] = (real) v_sum[c];
        }
    }
}

pan_status PAN_BODY(attention_backward)(pan_stream *stream, const pan_attention_desc *desc,
                                        const pan_random_state *random, const int32_t *row_starts, const void *q,
                                        const void *k, const void *v, const void *o, const float *lse, const void *d_o,
                                        void *dq, void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) row_starts;
    (void) workspace_bytes;
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            head at = make_head(desc, random, b, h);
            at.q = (const real *) q + offset(&desc->q, b, h);
            at.k = (const real *) k + offset(&desc->k, b, h);
            at.v = (const real *) v + offset(&desc->v, b, h);
            at.o = (const real *) o + offset(&desc->o, b, h);
            at.d_o = (const real *) d_o + offset(&desc->o, b, h);
            const real *head_lse = REAL(lse) + (b * desc->heads + h) * desc->length;
            query_gradient(&at, head_lse, (real *) dq + offset(&desc->q, b, h), workspace);
            key_and_value_gradient(&at, head_lse, (real *) dk + offset(&desc->k, b, h),
                                   (real *) dv + offset(&desc->v, b, h), workspace);
        }
    }
    return PAN_OK;
}
