/* Causal attention over a window, the first positions and listed blocks. What a query sees is marked position by position,
 * as the definition says. */
#include "../core/block_lists.h"
#include "real.h"

/* A call's arrays, at one query head of one example. */
typedef struct head {
    const pan_sparse_attention_desc *desc;
    const int32_t *blocks;
    int64_t b, kv_head;
    int64_t q_offset, k_offset, v_offset, o_offset, lse_offset; /* of position 0 */
    const real *q, *k, *v;
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

static head make_head(const pan_sparse_attention_desc *desc, const int32_t *blocks, int64_t b, int64_t h, const void *q,
                      const void *k, const void *v) {
    head at = {.desc = desc, .blocks = blocks, .b = b, .kv_head = h / (desc->heads / desc->kv_heads)};
    at.q_offset = offset(&desc->q, b, h);
    at.k_offset = offset(&desc->k, b, at.kv_head);
    at.v_offset = offset(&desc->v, b, at.kv_head);
    at.o_offset = offset(&desc->o, b, h);
    at.lse_offset = (b * desc->heads + h) * desc->length;
    at.q = (const real *) q + at.q_offset;
    at.k = (const real *) k + at.k_offset;
    at.v = (const real *) v + at.v_offset;
    return at;
}

static bool is_listed(const head *at, int64_t i, int64_t s) {
    const pan_block_lists *lists = &at->desc->lists;
    if (lists->slots == 0) {
        return false;
    }
    const int32_t *list = at->blocks + pan_block_list_at(lists, at->desc->length, at->b, at->kv_head, i);
    for (int64_t slot = 0; slot < lists->slots; slot++) {
        if (list[slot] == s / lists->block_size) {
            return true;
        }
    }
    return false;
}

/* Marks the keys that query i, at position t, sees: seen[0] to seen[t]. Returns how many there are. */
static int64_t mark_seen(const head *at, int64_t i, bool *seen) {
    const int64_t t = at->desc->first + i;
    int64_t count = 0;
    for (int64_t s = 0; s <= t; s++) {
        seen[s] = t - s < at->desc->window || s < at->desc->globals || is_listed(at, i, s);
        count += seen[s];
    }
    return count;
}

static double score(const head *at, int64_t i, int64_t s) {
    const pan_sparse_attention_desc *desc = at->desc;
    return (double) desc->scale *
           dot(at->q + i * desc->q.length_stride, at->k + s * desc->k.length_stride, desc->head_dim);
}

/* Fills weight[s] = exp(score[t,s] - lse[t]) for the keys that are seen and returns lse[t], of query i. */
static double softmax_row(const head *at, int64_t i, const bool *seen, double *weight) {
    const int64_t t = at->desc->first + i;
    double maximum = -INFINITY;
    for (int64_t s = 0; s <= t; s++) {
        weight[s] = seen[s] ? score(at, i, s) : 0.0;
        maximum = seen[s] && weight[s] > maximum ? weight[s] : maximum;
    }
    double shift = isfinite(maximum) ? maximum : 0.0;
    double sum = 0.0;
    for (int64_t s = 0; s <= t; s++) {
        sum += seen[s] ? exp(weight[s] - shift) : 0.0;
    }
    double lse = shift + log(sum);
    for (int64_t s = 0; s <= t; s++) {
        weight[s] = seen[s] ? exp(weight[s] - lse) : 0.0;
    }
    return lse;
}

static void head_forward(const head *at, real *o, real *lse, bool *seen, double *weight) {
    const pan_sparse_attention_desc *desc = at->desc;
    for (int64_t i = 0; i < desc->length; i++) {
        const int64_t t = desc->first + i;
        const bool any = mark_seen(at, i, seen) > 0;
        lse[i] = any ? (real) softmax_row(at, i, seen, weight) : -(real) INFINITY;
        for (int64_t c = 0; c < desc->head_dim; c++) {
            double sum = 0.0;
            for (int64_t s = 0; s <= t; s++) {
                sum += seen[s] ? weight[s] * at->v[s * desc->v.length_stride + c] : 0.0;
            }
            o[i * desc->o.length_stride + c] = (real) sum;
        }
    }
}

pan_status PAN_BODY(sparse_attention_forward_workspace_size)(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                                             int64_t *bytes) {
    (void) stream;
    *bytes = (desc->first + desc->length) * (int64_t) (sizeof(double) + sizeof(bool));
    return PAN_OK;
}

pan_status PAN_BODY(sparse_attention_forward)(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                              const int32_t *blocks, const void *q, const void *k, const void *v,
                                              void *o, float *lse, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    double *weight = workspace;
    bool *seen = (bool *) (weight + desc->first + desc->length);
    for (int64_t b = 0; b < desc->batch; b++) {
        for (int64_t h = 0; h < desc->heads; h++) {
            const head at = make_head(desc, blocks, b, h, q, k, v);
            head_forward(&at, (real *) o + at.o_offset, REAL_OUT(lse) + at.lse_offset, seen, weight);
        }
    }
    return PAN_OK;
}

/* Sums over queries, (length, head_dim) each, and over keys. */
typedef struct gradient_sums {
    double *dk, *dv;
    double *dq; /* (head_dim) */
    bool *seen;
} gradient_sums;

static int64_t key_elements(const pan_sparse_attention_desc *desc) {
    return desc->length * desc->head_dim;
}

/* What backward gets from forward and from above, at one query head. */
typedef struct cotangents {
    const real *o, *d_o, *lse, *d_lse; /* d_lse may be NULL */
} cotangents;

/* Adds to dk and dv what query t gives, and sets dq. */
static void query_backward(const head *at, const cotangents *given, int64_t t, const gradient_sums *sums) {
    const pan_sparse_attention_desc *desc = at->desc;
    const real *q = at->q + t * desc->q.length_stride, *d_o = given->d_o + t * desc->o.length_stride;
    const double delta = dot(d_o, given->o + t * desc->o.length_stride, desc->head_dim);
    const double d_lse = given->d_lse == NULL ? 0.0 : given->d_lse[t];
    mark_seen(at, t, sums->seen);
    for (int64_t c = 0; c < desc->head_dim; c++) {
        sums->dq[c] = 0.0;
    }
    for (int64_t s = 0; s <= t; s++) {
        if (!sums->seen[s]) {
            continue;
        }
        const real *k = at->k + s * desc->k.length_stride;
        const double p = exp(score(at, t, s) - given->lse[t]);
        const double dp = p * (dot(d_o, at->v + s * desc->v.length_stride, desc->head_dim) - delta + d_lse);
        for (int64_t c = 0; c < desc->head_dim; c++) {
            sums->dq[c] += dp * k[c];
            sums->dk[s * desc->head_dim + c] += dp * q[c];
            sums->dv[s * desc->head_dim + c] += p * d_o[c];
        }
    }
}

pan_status PAN_BODY(sparse_attention_backward_workspace_size)(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                                              int64_t *bytes) {
    (void) stream;
    *bytes = (2 * key_elements(desc) + desc->head_dim) * (int64_t) sizeof(double) + desc->length;
    return PAN_OK;
}

static void clear(const gradient_sums *sums, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        sums->dk[i] = sums->dv[i] = 0.0;
    }
}

static void write_key_gradients(const pan_sparse_attention_desc *desc, const gradient_sums *sums, real *dk, real *dv) {
    for (int64_t s = 0; s < desc->length; s++) {
        for (int64_t c = 0; c < desc->head_dim; c++) {
            dk[s * desc->k.length_stride + c] = (real) (desc->scale * sums->dk[s * desc->head_dim + c]);
            dv[s * desc->v.length_stride + c] = (real) sums->dv[s * desc->head_dim + c];
        }
    }
}

pan_status PAN_BODY(sparse_attention_backward)(pan_stream *stream, const pan_sparse_attention_desc *desc,
                                               const int32_t *blocks, const void *q, const void *k, const void *v,
                                               const void *o, const float *lse, const void *d_o, const float *d_lse,
                                               void *dq, void *dk, void *dv, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    gradient_sums sums = {.dk = workspace};
    sums.dv = sums.dk + key_elements(desc);
    sums.dq = sums.dv + key_elements(desc);
    sums.seen = (bool *) (sums.dq + desc->head_dim);
    const int64_t group = desc->heads / desc->kv_heads;
    for (int64_t head_index = 0; head_index < desc->batch * desc->heads; head_index++) {
        const int64_t b = head_index / desc->heads, h = head_index % desc->heads;
        const head at = make_head(desc, blocks, b, h, q, k, v);
        const cotangents given = {(const real *) o + at.o_offset, (const real *) d_o + at.o_offset,
                                  REAL(lse) + at.lse_offset, d_lse == NULL ? NULL : REAL(d_lse) + at.lse_offset};
        if (h % group == 0) {
            clear(&sums, key_elements(desc));
        }
        for (int64_t t = 0; t < desc->length; t++) {
            query_backward(&at, &given, t, &sums);
            for (int64_t c = 0; c < desc->head_dim; c++) {
                ((real *) dq)[at.q_offset + t * desc->q.length_stride + c] = (real) (desc->scale * sums.dq[c]);
            }
        }
        if (h % group == group - 1) {
            write_key_gradients(desc, &sums, (real *) dk + at.k_offset, (real *) dv + at.v_offset);
        }
    }
    return PAN_OK;
}
