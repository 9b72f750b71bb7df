/* Causal multi-head attention, of all, listed or chosen queries. Scores are recomputed wherever they are needed, so the
 * only scratch is one row. */
#include "real.h"

/* A call's arrays and constants, at one head of one example. */
typedef struct head {
    const pan_attention_desc *desc;
    const pan_random_state *random;
    const int32_t *listed; /* the example's part of query_rows; NULL: every position is a query */
    const real *chosen;    /* of each position of the example; NULL: all are */
    int64_t queries;
    int64_t first;                          /* entry of the list that would be position 0 */
    int64_t q_offset, o_offset, lse_offset; /* of query 0 */
    const real *q, *k, *v, *o, *d_o;
    uint64_t row; /* random row of position 0 */
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

/* Whether query i attends to anything. */
static bool attends(const head *at, int64_t i) {
    return at->chosen == NULL || at->chosen[i] != 0;
}

/* The position of query i. */
static int64_t position(const head *at, int64_t i) {
    return at->listed == NULL ? i : at->listed[i] - at->first;
}

static double score(const head *at, int64_t i, int64_t s) {
    const pan_attention_desc *desc = at->desc;
    return (double) desc->scale *
           dot(at->q + i * desc->q.length_stride, at->k + s * desc->k.length_stride, desc->head_dim);
}

/* keep(t,s) / (1 - dropout) */
static double mask(const head *at, int64_t t, int64_t s) {
    if (at->threshold == 0) {
        return 1.0;
    }
    uint64_t row_state = pan_random_row(at->random, at->desc->dropout_key, at->row + (uint64_t) t);
    return pan_random_bits(row_state, (uint32_t) s) >= at->threshold ? at->keep_scale : 0.0;
}

/* How many entries of the list lie before example b. */
static int64_t entries_before(const pan_attention_desc *desc, const int32_t *query_rows, int64_t b) {
    int64_t count = 0;
    while (count < desc->queries && query_rows[count] < b * desc->length) {
        count++;
    }
    return count;
}

/* `chosen` is NULL if queries are listed. */
static head make_head(const pan_attention_desc *desc, const pan_random_state *random, const int32_t *query_rows,
                      const void *chosen, int64_t b, int64_t h) {
    const uint64_t row = (uint64_t) ((b * desc->heads + h) * desc->length);
    head at = {.desc = desc,
               .random = random,
               .chosen = chosen == NULL ? NULL : (const real *) chosen + b * desc->length,
               .first = b * desc->length,
               .row = row,
               .threshold = pan_random_threshold(desc->dropout_probability),
               .keep_scale = 1.0 / (1.0 - (double) desc->dropout_probability)};
    if (query_rows == NULL) {
        at.queries = desc->length;
        at.q_offset = offset(&desc->q, b, h);
        at.o_offset = offset(&desc->o, b, h);
        at.lse_offset = (int64_t) row;
    } else {
        const int64_t before = entries_before(desc, query_rows, b);
        at.listed = query_rows + before;
        at.queries = entries_before(desc, query_rows, b + 1) - before;
        at.q_offset = before * desc->q.length_stride + h * desc->q.head_stride;
        at.o_offset = before * desc->o.length_stride + h * desc->o.head_stride;
        at.lse_offset = h * desc->queries + before;
    }
    return at;
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

static bool sees(const pan_attention_desc *desc, int64_t t, int64_t s) {
    return first_key(desc, t) <= s && s <= t;
}

/* Fills weight[s] = exp(score[t,s] - lse[t]) for the keys that query i at t sees and returns lse[t]. */
static double softmax_row(const head *at, int64_t i, double *weight) {
    const int64_t t = position(at, i);
    double maximum = -INFINITY;
    for (int64_t s = first_key(at->desc, t); s <= t; s++) {
        weight[s] = score(at, i, s);
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

static void fill(real *x, int64_t count, real value) {
    for (int64_t c = 0; c < count; c++) {
        x[c] = value;
    }
}

static void head_forward(const head *at, real *o, real *lse, double *weight) {
    const pan_attention_desc *desc = at->desc;
    for (int64_t i = 0; i < at->queries; i++) {
        if (!attends(at, i)) {
            fill(o + i * desc->o.length_stride, desc->head_dim, 0);
            lse[i] = (real) -INFINITY;
            continue;
        }
        const int64_t t = position(at, i);
        lse[i] = (real) softmax_row(at, i, weight);
        for (int64_t s = first_key(at->desc, t); s <= t; s++) {
            weight[s] *= mask(at, t, s);
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            double sum = 0.0;
            for (int64_t s = first_key(at->desc, t); s <= t; s++) {
                sum += weight[s] * at->v[s * desc->v.length_stride + c];
            }
            o[i * desc->o.length_stride + c] = (real) sum;
        }
    }
}

static void forward(const pan_attention_desc *desc, const pan_random_state *random, const int32_t *query_rows,
                    const void *chosen, const void *q, const void *k, const void *v, void *o, float *lse,
                    void *workspace) {
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            head at = make_head(desc, random, query_rows, chosen, b, h);
            at.q = (const real *) q + at.q_offset;
            at.k = (const real *) k + offset(&desc->k, b, h);
            at.v = (const real *) v + offset(&desc->v, b, h);
            head_forward(&at, (real *) o + at.o_offset, REAL_OUT(lse) + at.lse_offset, workspace);
        }
    }
}

pan_status PAN_BODY(attention_forward)(pan_stream *stream, const pan_attention_desc *desc,
                                       const pan_random_state *random, const int32_t *query_rows, const void *q,
                                       const void *k, const void *v, void *o, float *lse, void *workspace,
                                       int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    forward(desc, random, query_rows, NULL, q, k, v, o, lse, workspace);
    return PAN_OK;
}

pan_status PAN_BODY(selected_attention_forward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                               int64_t *bytes) {
    return PAN_BODY(attention_forward_workspace_size)(stream, desc, bytes);
}

pan_status PAN_BODY(selected_attention_forward)(pan_stream *stream, const pan_attention_desc *desc,
                                                const pan_random_state *random, const void *chosen, const void *q,
                                                const void *k, const void *v, void *o, float *lse, void *workspace,
                                                int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    forward(desc, random, NULL, chosen, q, k, v, o, lse, workspace);
    return PAN_OK;
}

pan_status PAN_BODY(attention_backward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                       int64_t *bytes) {
    (void) stream;
    *bytes = 2 * desc->head_dim * (int64_t) sizeof(double);
    return PAN_OK;
}

/* p[t,s] of query i at t, and the gradient of its score. */
typedef struct pair {
    double probability, gradient, mask;
} pair;

static pair backward_pair(const head *at, const real *lse, int64_t i, int64_t s) {
    const pan_attention_desc *desc = at->desc;
    const real *d_o = at->d_o + i * desc->o.length_stride;
    double delta = dot(d_o, at->o + i * desc->o.length_stride, desc->head_dim);
    pair result = {.probability = exp(score(at, i, s) - lse[i]), .mask = mask(at, position(at, i), s)};
    double dv = dot(d_o, at->v + s * desc->v.length_stride, desc->head_dim);
    result.gradient = result.probability * (result.mask * dv - delta);
    return result;
}

static void query_gradient(const head *at, const real *lse, real *dq, double *sum) {
    const pan_attention_desc *desc = at->desc;
    for (int64_t i = 0; i < at->queries; i++) {
        const int64_t t = position(at, i);
        for (int64_t c = 0; c < desc->head_dim; c++) {
            sum[c] = 0.0;
        }
        for (int64_t s = first_key(at->desc, t); attends(at, i) && s <= t; s++) {
            double gradient = backward_pair(at, lse, i, s).gradient;
            for (int64_t c = 0; c < desc->head_dim; c++) {
                sum[c] += gradient * at->k[s * desc->k.length_stride + c];
            }
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            dq[i * desc->q.length_stride + c] = (real) (desc->scale * sum[c]);
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
        for (int64_t i = 0; i < at->queries; i++) {
            if (!attends(at, i) || !sees(desc, position(at, i), s)) {
                continue;
            }
            pair at_pair = backward_pair(at, lse, i, s);
            for (int64_t c = 0; c < desc->head_dim; c++) {
                k_sum[c] += at_pair.gradient * at->q[i * desc->q.length_stride + c];
                v_sum[c] += at_pair.probability * at_pair.mask * at->d_o[i * desc->o.length_stride + c];
            }
        }
        for (int64_t c = 0; c < desc->head_dim; c++) {
            dk[s * desc->k.length_stride + c] = (real) (desc->scale * k_sum[c]);
            dv[s * desc->v.length_stride + c] = (real) v_sum[c];
        }
    }
}

static void backward(const pan_attention_desc *desc, const pan_random_state *random, const int32_t *query_rows,
                     const void *chosen, const void *q, const void *k, const void *v, const void *o, const float *lse,
                     const void *d_o, void *dq, void *dk, void *dv, void *workspace) {
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            head at = make_head(desc, random, query_rows, chosen, b, h);
            at.q = (const real *) q + at.q_offset;
            at.k = (const real *) k + offset(&desc->k, b, h);
            at.v = (const real *) v + offset(&desc->v, b, h);
            at.o = (const real *) o + at.o_offset;
            at.d_o = (const real *) d_o + at.o_offset;
            const real *head_lse = REAL(lse) + at.lse_offset;
            query_gradient(&at, head_lse, (real *) dq + at.q_offset, workspace);
            key_and_value_gradient(&at, head_lse, (real *) dk + offset(&desc->k, b, h),
                                   (real *) dv + offset(&desc->v, b, h), workspace);
        }
    }
}

pan_status PAN_BODY(attention_backward)(pan_stream *stream, const pan_attention_desc *desc,
                                        const pan_random_state *random, const int32_t *query_rows, const void *q,
                                        const void *k, const void *v, const void *o, const float *lse, const void *d_o,
                                        void *dq, void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    backward(desc, random, query_rows, NULL, q, k, v, o, lse, d_o, dq, dk, dv, workspace);
    return PAN_OK;
}

pan_status PAN_BODY(selected_attention_backward_workspace_size)(pan_stream *stream, const pan_attention_desc *desc,
                                                                int64_t *bytes) {
    return PAN_BODY(attention_backward_workspace_size)(stream, desc, bytes);
}

pan_status PAN_BODY(selected_attention_backward)(pan_stream *stream, const pan_attention_desc *desc,
                                                 const pan_random_state *random, const void *chosen, const void *q,
                                                 const void *k, const void *v, const void *o, const float *lse,
                                                 const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                                 int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    backward(desc, random, NULL, chosen, q, k, v, o, lse, d_o, dq, dk, dv, workspace);
    return PAN_OK;
}
