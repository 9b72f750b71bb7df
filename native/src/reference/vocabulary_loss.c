/* Cross entropy of a linear vocabulary head over the labelled rows. Logits are recomputed wherever they are needed. */
#include "real.h"

static double logit(const pan_vocabulary_loss_desc *desc, const real *hidden, const real *weight, int64_t r,
                    int64_t v) {
    double sum = 0.0;
    for (int64_t c = 0; c < desc->channels; c++) {
        sum += (double) hidden[r * desc->hidden_stride + c] * weight[v * desc->channels + c];
    }
    return sum;
}

/* Index of a row's largest logit, the smallest of equals. A NaN is larger than nothing: it is never chosen unless no
 * logit exceeds -inf, when the index is 0. */
static int32_t largest_logit(const pan_vocabulary_loss_desc *desc, const real *hidden, const real *weight, int64_t r,
                             double *maximum) {
    int32_t largest = 0;
    *maximum = -INFINITY;
    for (int64_t v = 0; v < desc->vocab_size; v++) {
        double z = logit(desc, hidden, weight, r, v);
        if (z > *maximum) {
            *maximum = z;
            largest = (int32_t) v;
        }
    }
    return largest;
}

/* log sum_v exp z[r,v] */
static double log_sum_exp(const pan_vocabulary_loss_desc *desc, const real *hidden, const real *weight, int64_t r,
                          double maximum) {
    double shift = isfinite(maximum) ? maximum : 0.0;
    double sum = 0.0;
    for (int64_t v = 0; v < desc->vocab_size; v++) {
        sum += exp(logit(desc, hidden, weight, r, v) - shift);
    }
    return shift + log(sum);
}

pan_status PAN_BODY(vocabulary_loss_forward_workspace_size)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                            int64_t *bytes) {
    (void) stream;
    (void) desc;
    *bytes = 0;
    return PAN_OK;
}

pan_status PAN_BODY(vocabulary_loss_forward)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                             const void *hidden, const float *weight_, const int32_t *labels,
                                             float *loss, int32_t *labelled_count, float *row_loss_, float *lse_,
                                             int32_t *arg_max, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace;
    (void) workspace_bytes;
    const real *weight = REAL(weight_);
    real *row_loss = REAL_OUT(row_loss_), *lse = REAL_OUT(lse_);
    double total = 0.0;
    int32_t labelled = 0;
    for (int64_t r = 0; r < desc->rows; r++) {
        row_loss[r] = 0;
        lse[r] = 0;
        arg_max[r] = -1;
        if (labels[r] == PAN_IGNORE_LABEL) {
            continue;
        }
        double maximum;
        arg_max[r] = largest_logit(desc, hidden, weight, r, &maximum);
        double row_lse = log_sum_exp(desc, hidden, weight, r, maximum);
        double cross_entropy = row_lse - logit(desc, hidden, weight, r, labels[r]);
        lse[r] = (real) row_lse;
        row_loss[r] = (real) cross_entropy;
        total += cross_entropy;
        labelled++;
    }
    *REAL_OUT(loss) = (real) (labelled == 0 ? 0.0 : total / labelled);
    *labelled_count = labelled;
    return PAN_OK;
}

pan_status PAN_BODY(vocabulary_loss_backward_workspace_size)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                             int64_t *bytes) {
    (void) stream;
    *bytes = desc->channels * (int64_t) sizeof(double);
    return PAN_OK;
}

/* What backward reads, and dloss / labelled_count. */
typedef struct loss_inputs {
    const real *hidden, *weight, *lse;
    const int32_t *labels;
    double scale;
} loss_inputs;

static double logit_gradient(const pan_vocabulary_loss_desc *desc, const loss_inputs *in, int64_t r, int64_t v) {
    double probability = exp(logit(desc, in->hidden, in->weight, r, v) - in->lse[r]);
    return in->scale * (probability - (v == in->labels[r] ? 1.0 : 0.0));
}

static void hidden_gradient(const pan_vocabulary_loss_desc *desc, const loss_inputs *in, real *dhidden, double *sum) {
    for (int64_t r = 0; r < desc->rows; r++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            sum[c] = 0.0;
        }
        for (int64_t v = 0; in->labels[r] != PAN_IGNORE_LABEL && v < desc->vocab_size; v++) {
            double gradient = logit_gradient(desc, in, r, v);
            for (int64_t c = 0; c < desc->channels; c++) {
                sum[c] += gradient * in->weight[v * desc->channels + c];
            }
        }
        for (int64_t c = 0; c < desc->channels; c++) {
            dhidden[r * desc->hidden_stride + c] = (real) sum[c];
        }
    }
}

static void weight_gradient(const pan_vocabulary_loss_desc *desc, const loss_inputs *in, real *dweight, double *sum) {
    for (int64_t v = 0; v < desc->vocab_size; v++) {
        for (int64_t c = 0; c < desc->channels; c++) {
            sum[c] = 0.0;
        }
        for (int64_t r = 0; r < desc->rows; r++) {
            if (in->labels[r] == PAN_IGNORE_LABEL) {
                continue;
            }
            double gradient = logit_gradient(desc, in, r, v);
            for (int64_t c = 0; c < desc->channels; c++) {
                sum[c] += gradient * in->hidden[r * desc->hidden_stride + c];
            }
        }
        for (int64_t c = 0; c < desc->channels; c++) {
            dweight[v * desc->channels + c] += (real) sum[c];
        }
    }
}

pan_status PAN_BODY(vocabulary_loss_backward)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                              const void *hidden, const float *weight, const int32_t *labels,
                                              const int32_t *labelled_count, const float *lse, const float *dloss,
                                              void *dhidden, float *dweight, void *workspace, int64_t workspace_bytes) {
    (void) stream;
    (void) workspace_bytes;
    loss_inputs in = {.hidden = hidden,
                      .weight = REAL(weight),
                      .lse = REAL(lse),
                      .labels = labels,
                      .scale = (double) *REAL(dloss) / *labelled_count};
    if (dhidden != NULL) {
        hidden_gradient(desc, &in, dhidden, workspace);
    }
    if (dweight != NULL) {
        weight_gradient(desc, &in, REAL_OUT(dweight), workspace);
    }
    return PAN_OK;
}

pan_status PAN_BODY(vocabulary_loss_with_gradient_workspace_size)(pan_stream *stream,
                                                                  const pan_vocabulary_loss_desc *desc,
                                                                  int64_t *bytes) {
    return PAN_BODY(vocabulary_loss_backward_workspace_size)(stream, desc, bytes);
}

pan_status PAN_BODY(vocabulary_loss_with_gradient)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                   const void *hidden, const float *weight, const int32_t *labels,
                                                   const float *dloss, float *loss, int32_t *labelled_count,
                                                   float *row_loss, float *lse, int32_t *arg_max, void *dhidden,
                                                   float *dweight, void *workspace, int64_t workspace_bytes) {
    PAN_BODY(vocabulary_loss_forward)
    (stream, desc, hidden, weight, labels, loss, labelled_count, row_loss, lse, arg_max, NULL, 0);
    return PAN_BODY(vocabulary_loss_backward)(stream, desc, hidden, weight, labels, labelled_count, lse, dloss, dhidden,
                                              dweight, workspace, workspace_bytes);
}
