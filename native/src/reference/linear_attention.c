/* Causal linear attention: every weight by itself, and the state by its features. */
#include "../core/linear_attention.h"

#include "real.h"

/* One head of one example. */
typedef struct head {
    const pan_linear_attention_desc *desc;
    const real *q, *k, *v, *o, *d_o;
    const real *denominator; /* of backward; NULL: not normalised */
    double scale;            /* of q . k */
} head;

static int64_t offset(const pan_linear_attention_desc *desc, const pan_head_layout *layout, int64_t index) {
    return index / desc->heads * layout->batch_stride + index % desc->heads * layout->head_stride;
}

static head make_head(const pan_linear_attention_desc *desc, int64_t index, const void *q, const void *k,
                      const void *v) {
    const bool taylor = desc->features == PAN_FEATURES_TAYLOR;
    return (head){.desc = desc,
                  .q = (const real *) q + offset(desc, &desc->q, index),
                  .k = (const real *) k + offset(desc, &desc->k, index),
                  .v = (const real *) v + offset(desc, &desc->v, index),
                  .scale = taylor ? 1.0 / sqrt((double) desc->feature_dim) : 1.0};
}

static double dot(const real *a, const real *b, int64_t count) {
    double sum = 0.0;
    for (int64_t c = 0; c < count; c++) {
        sum += (double) a[c] * b[c];
    }
    return sum;
}

static double score(const head *at, int64_t t, int64_t s) {
    const pan_linear_attention_desc *desc = at->desc;
    return at->scale * dot(at->q + t * desc->q.length_stride, at->k + s * desc->k.length_stride, desc->feature_dim);
}

/* phi(q) . phi(k) and its derivative by the score. */
static double weight_of(const pan_linear_attention_desc *desc, double score) {
    return desc->features == PAN_FEATURES_TAYLOR ? 1.0 + score + 0.5 * score * score : score;
}

static double weight_slope(const pan_linear_attention_desc *desc, double score) {
    return desc->features == PAN_FEATURES_TAYLOR ? 1.0 + score : 1.0;
}

static void put_features(const pan_linear_attention_desc *desc, const real *x, double *phi) {
    const int64_t f = desc->feature_dim;
    if (desc->features == PAN_FEATURES_GIVEN) {
        for (int64_t i = 0; i < f; i++) {
            phi[i] = x[i];
        }
        return;
    }
    const double root = sqrt((double) f);
    phi[0] = 1.0;
    for (int64_t i = 0; i < f; i++) {
        phi[1 + i] = x[i] / sqrt(root);
        double *pair = phi + pan_pair_feature(f, i);
        pair[0] = (double) x[i] * x[i] / (sqrt(2.0) * root);
        for (int64_t j = i + 1; j < f; j++) {
            pair[j - i] = (double) x[i] * x[j] / root;
        }
    }
}

/* What comes from the state: sums over the values' channels and, last, of the weights. */
static double state_term(const pan_linear_attention_desc *desc, const double *phi, const real *state, int64_t c) {
    double sum = 0.0;
    for (int64_t j = 0; state != NULL && j < pan_feature_count(desc->features, desc->feature_dim); j++) {
        sum += phi[j] * state[j * (desc->value_dim + 1) + c];
    }
    return sum;
}

static void head_forward(const head *at, const real *state, real *o, real *denominator, double *phi, double *weight) {
    const pan_linear_attention_desc *desc = at->desc;
    for (int64_t t = 0; t < desc->length; t++) {
        put_features(desc, at->q + t * desc->q.length_stride, phi);
        double divisor = (double) desc->epsilon + state_term(desc, phi, state, desc->value_dim);
        for (int64_t s = 0; s <= t; s++) {
            weight[s] = weight_of(desc, score(at, t, s));
            divisor += weight[s];
        }
        if (desc->normalised) {
            denominator[t] = (real) divisor;
        }
        for (int64_t c = 0; c < desc->value_dim; c++) {
            double sum = state_term(desc, phi, state, c);
            for (int64_t s = 0; s <= t; s++) {
                sum += weight[s] * at->v[s * desc->v.length_stride + c];
            }
            o[t * desc->o.length_stride + c] = (real) (desc->normalised ? sum / divisor : sum);
        }
    }
}

/* Element (j, c) of the state depends on no other, so initial may be final. */
static void head_state(const head *at, const real *initial, real *final, double *sums, double *phi) {
    const pan_linear_attention_desc *desc = at->desc;
    const int64_t columns = desc->value_dim + 1;
    const int64_t features = pan_feature_count(desc->features, desc->feature_dim);
    for (int64_t i = 0; i < features * columns; i++) {
        sums[i] = initial == NULL ? 0.0 : initial[i];
    }
    for (int64_t s = 0; s < desc->length; s++) {
        put_features(desc, at->k + s * desc->k.length_stride, phi);
        const real *v = at->v + s * desc->v.length_stride;
        for (int64_t i = 0; i < features * columns; i++) {
            sums[i] += phi[i / columns] * (i % columns < desc->value_dim ? (double) v[i % columns] : 1.0);
        }
    }
    for (int64_t i = 0; i < features * columns; i++) {
        final[i] = (real) sums[i];
    }
}

static int64_t state_elements(const pan_linear_attention_desc *desc) {
    return pan_feature_count(desc->features, desc->feature_dim) * (desc->value_dim + 1);
}

pan_status PAN_BODY(linear_attention_state_size)(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                 int64_t *bytes) {
    (void) stream;
    *bytes = desc->batch * desc->heads * state_elements(desc) * (int64_t) sizeof(real);
    return PAN_OK;
}

/* A head's state in double, a position's features and its weights. */
pan_status PAN_BODY(linear_attention_forward_workspace_size)(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                             int64_t *bytes) {
    (void) stream;
    const int64_t features = pan_feature_count(desc->features, desc->feature_dim);
    *bytes = (state_elements(desc) + features + desc->length) * (int64_t) sizeof(double);
    return PAN_OK;
}

pan_status PAN_BODY(linear_attention_forward)(pan_stream *stream, const pan_linear_attention_desc *desc, const void *q,
                                              const void *k, const void *v, const float *initial_state, void *o,
                                              float *denominator, float *final_state, void *workspace,
                                              int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    double *sums = workspace, *phi = sums + state_elements(desc);
    double *weight = phi + pan_feature_count(desc->features, desc->feature_dim);
    for (int64_t index = 0; index < desc->batch * desc->heads; index++) {
        const head at = make_head(desc, index, q, k, v);
        const real *initial = initial_state == NULL ? NULL : REAL(initial_state) + index * state_elements(desc);
        real *denominators = denominator == NULL ? NULL : REAL_OUT(denominator) + index * desc->length;
        head_forward(&at, initial, (real *) o + offset(desc, &desc->o, index), denominators, phi, weight);
        if (final_state != NULL) {
            head_state(&at, initial, REAL_OUT(final_state) + index * state_elements(desc), sums, phi);
        }
    }
    return PAN_OK;
}

/* A pair's weight, and the gradient of its score without the scale, both with 1 / n[t]. */
typedef struct pair {
    double weight, gradient;
} pair;

static pair backward_pair(const head *at, int64_t t, int64_t s) {
    const pan_linear_attention_desc *desc = at->desc;
    const real *d_o = at->d_o + t * desc->o.length_stride;
    const double divisor = at->denominator == NULL ? 1.0 : at->denominator[t];
    double along = dot(d_o, at->v + s * desc->v.length_stride, desc->value_dim);
    if (at->denominator != NULL) {
        along -= dot(d_o, at->o + t * desc->o.length_stride, desc->value_dim);
    }
    const double of_pair = score(at, t, s);
    return (pair){weight_of(desc, of_pair) / divisor, weight_slope(desc, of_pair) * along / divisor};
}

static void query_gradient(const head *at, real *dq, double *sum) {
    const pan_linear_attention_desc *desc = at->desc;
    for (int64_t t = 0; t < desc->length; t++) {
        for (int64_t i = 0; i < desc->feature_dim; i++) {
            sum[i] = 0.0;
        }
        for (int64_t s = 0; s <= t; s++) {
            const pair of = backward_pair(at, t, s);
            for (int64_t i = 0; i < desc->feature_dim; i++) {
                sum[i] += of.gradient * at->k[s * desc->k.length_stride + i];
            }
        }
        for (int64_t i = 0; i < desc->feature_dim; i++) {
            dq[t * desc->q.length_stride + i] = (real) (at->scale * sum[i]);
        }
    }
}

static void key_and_value_gradient(const head *at, real *dk, real *dv, double *sum) {
    const pan_linear_attention_desc *desc = at->desc;
    double *k_sum = sum, *v_sum = sum + desc->feature_dim;
    for (int64_t s = 0; s < desc->length; s++) {
        for (int64_t i = 0; i < desc->feature_dim + desc->value_dim; i++) {
            sum[i] = 0.0;
        }
        for (int64_t t = s; t < desc->length; t++) {
            const pair of = backward_pair(at, t, s);
            for (int64_t i = 0; i < desc->feature_dim; i++) {
                k_sum[i] += of.gradient * at->q[t * desc->q.length_stride + i];
            }
            for (int64_t c = 0; c < desc->value_dim; c++) {
                v_sum[c] += of.weight * at->d_o[t * desc->o.length_stride + c];
            }
        }
        for (int64_t i = 0; i < desc->feature_dim; i++) {
            dk[s * desc->k.length_stride + i] = (real) (at->scale * k_sum[i]);
        }
        for (int64_t c = 0; c < desc->value_dim; c++) {
            dv[s * desc->v.length_stride + c] = (real) v_sum[c];
        }
    }
}

pan_status PAN_BODY(linear_attention_backward_workspace_size)(pan_stream *stream, const pan_linear_attention_desc *desc,
                                                              int64_t *bytes) {
    (void) stream;
    *bytes = (desc->feature_dim + desc->value_dim) * (int64_t) sizeof(double);
    return PAN_OK;
}

pan_status PAN_BODY(linear_attention_backward)(pan_stream *stream, const pan_linear_attention_desc *desc, const void *q,
                                               const void *k, const void *v, const void *o, const float *denominator,
                                               const void *d_o, void *dq, void *dk, void *dv, void *workspace,
                                               int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    for (int64_t index = 0; index < desc->batch * desc->heads; index++) {
        head at = make_head(desc, index, q, k, v);
        at.o = (const real *) o + offset(desc, &desc->o, index);
        at.d_o = (const real *) d_o + offset(desc, &desc->o, index);
        at.denominator = denominator == NULL ? NULL : REAL(denominator) + index * desc->length;
        query_gradient(&at, (real *) dq + offset(desc, &desc->q, index), workspace);
        key_and_value_gradient(&at, (real *) dk + offset(desc, &desc->k, index),
                               (real *) dv + offset(desc, &desc->v, index), workspace);
    }
    return PAN_OK;
}
