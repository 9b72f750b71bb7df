/* One attention from the attentions over two sets of keys. */
#include "real.h"

/* Weights of the two at one query; both 0 where neither has a key. */
typedef struct weights {
    double first, second;
    double lse;
} weights;

static weights weights_of(double lse1, double lse2) {
    const double largest = lse1 > lse2 || isnan(lse1) ? lse1 : lse2;
    if (largest == -INFINITY) {
        return (weights){0.0, 0.0, largest};
    }
    const double e1 = exp(lse1 - largest), e2 = exp(lse2 - largest);
    return (weights){e1 / (e1 + e2), e2 / (e1 + e2), largest + log(e1 + e2)};
}

/* weight * x, where what has no weight does not count whatever it is. */
static double weighted(double weight, double x) {
    return weight == 0.0 ? 0.0 : weight * x;
}

/* Rows of lse, whose number r = (b * heads + h) * length + t; and where their rows of o lie. */
static int64_t row_count(const pan_attention_merge_desc *desc) {
    return desc->batch * desc->heads * desc->length;
}

static int64_t row_offset(const pan_attention_merge_desc *desc, int64_t row) {
    const int64_t t = row % desc->length, head = row / desc->length;
    return ((head / desc->heads * desc->length + t) * desc->heads + head % desc->heads) * desc->head_dim;
}

pan_status PAN_BODY(attention_merge_forward)(pan_stream *stream, const pan_attention_merge_desc *desc, const void *o1,
                                             const float *lse1, const void *o2, const float *lse2, void *o,
                                             float *lse) {
    (void) stream;
    for (int64_t row = 0; row < row_count(desc); row++) {
        const weights w = weights_of(REAL(lse1)[row], REAL(lse2)[row]);
        const int64_t at = row_offset(desc, row);
        REAL_OUT(lse)[row] = (real) w.lse;
        for (int64_t c = at; c < at + desc->head_dim; c++) {
            ((real *) o)[c] =
                (real) (weighted(w.first, ((const real *) o1)[c]) + weighted(w.second, ((const real *) o2)[c]));
        }
    }
    return PAN_OK;
}

/* The gradient of one of the two, whose weight is w. */
static void part_gradient(const pan_attention_merge_desc *desc, double w, const real *part, const real *o,
                          const real *d_o, double d_lse, real *d_part, real *d_part_lse) {
    double sum = 0.0;
    for (int64_t c = 0; c < desc->head_dim; c++) {
        sum += weighted(w, d_o[c] * ((double) part[c] - o[c]));
        d_part[c] = (real) weighted(w, d_o[c]);
    }
    *d_part_lse = (real) (sum + weighted(w, d_lse));
}

pan_status PAN_BODY(attention_merge_backward)(pan_stream *stream, const pan_attention_merge_desc *desc, const void *o1,
                                              const float *lse1, const void *o2, const float *lse2, const void *o,
                                              const float *lse, const void *d_o, const float *d_lse, void *d_o1,
                                              float *d_lse1, void *d_o2, float *d_lse2) {
    (void) stream;
    (void) lse;
    for (int64_t row = 0; row < row_count(desc); row++) {
        const weights w = weights_of(REAL(lse1)[row], REAL(lse2)[row]);
        const int64_t at = row_offset(desc, row);
        const double dl = d_lse == NULL ? 0.0 : REAL(d_lse)[row];
        const real *whole = (const real *) o + at, *gradient = (const real *) d_o + at;
        part_gradient(desc, w.first, (const real *) o1 + at, whole, gradient, dl, (real *) d_o1 + at,
                      REAL_OUT(d_lse1) + row);
        part_gradient(desc, w.second, (const real *) o2 + at, whole, gradient, dl, (real *) d_o2 + at,
                      REAL_OUT(d_lse2) + row);
    }
    return PAN_OK;
}
