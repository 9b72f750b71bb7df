/* Cross entropy of a vocabulary head with its gradient: a chunk's logits are formed once and kept for both. */
#include "vocabulary_tile.h"

/* Logits of a chunk: few enough for a share of the last-level cache. */
enum { KEPT_FLOATS = 1 << 20 };
/* Rows of logits a whole number of pages apart would meet in the same sets of a cache. */
enum { STRIDE_PADDING = 32 };

static int64_t kept_stride(const pan_vocabulary_loss_desc *desc) {
    return score_storage(desc->vocab_size) + STRIDE_PADDING;
}

static vocabulary_plan plan_kept(const pan_vocabulary_loss_desc *desc) {
    vocabulary_plan plan = plan_vocabulary(desc);
    const int64_t tiles = KEPT_FLOATS / VOCABULARY_ROWS / kept_stride(desc);
    plan.chunk_rows = min_i64(plan.chunk_rows, VOCABULARY_ROWS * (tiles > 1 ? tiles : 1));
    return plan;
}

static int64_t kept_bytes(const pan_vocabulary_loss_desc *desc, const vocabulary_plan *plan) {
    return align_up(plan->chunk_rows * kept_stride(desc) * (int64_t) sizeof(float));
}

pan_status PAN_BODY(vocabulary_loss_with_gradient_workspace_size)(pan_stream *stream,
                                                                  const pan_vocabulary_loss_desc *desc,
                                                                  int64_t *bytes) {
    (void) stream;
    const vocabulary_plan plan = plan_kept(desc);
    *bytes = chunk_bytes(&plan, desc->channels) + parts_bytes(&plan) + hidden_sums_bytes(&plan, desc->channels) +
             kept_bytes(desc, &plan);
    return PAN_OK;
}

static int64_t count_labels(const pan_vocabulary_loss_desc *desc, const int32_t *labels) {
    int64_t count = 0;
    for (int64_t row = 0; row < desc->rows; row++) {
        count += labels[row] != PAN_IGNORE_LABEL;
    }
    return count;
}

pan_status PAN_BODY(vocabulary_loss_with_gradient)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                   const void *hidden, const float *weight, const int32_t *labels,
                                                   const float *dloss, float *loss, int32_t *labelled_count,
                                                   float *row_loss, float *lse, int32_t *arg_max, void *dhidden,
                                                   float *dweight, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    const vocabulary_plan plan = plan_kept(desc);
    const int64_t count = count_labels(desc, labels);
    vocabulary_chunk chunk = {0};
    loss_job losses = {.desc = desc,
                       .plan = plan,
                       .chunk = &chunk,
                       .weight = weight,
                       .labels = labels,
                       .row_loss = row_loss,
                       .lse = lse,
                       .arg_max = arg_max};
    gradient_job gradients = {.desc = desc,
                              .plan = plan,
                              .chunk = &chunk,
                              .weight = weight,
                              .labels = labels,
                              .lse = lse,
                              .scale = (float) ((double) *dloss / (double) count),
                              .dhidden = dhidden,
                              .dweight = dweight};
    char *next = place_parts(&losses, place_chunk(&chunk, &plan, desc->channels, workspace));
    gradients.hidden_sums = (float *) next;
    next += hidden_sums_bytes(&plan, desc->channels);
    losses.kept = gradients.kept = (kept_logits){.values = (float *) next, .stride = kept_stride(desc)};
    clear_losses(&losses);
    clear_gradients(pool, &gradients);
    while (gather_chunk(pool, &chunk, desc, &plan, hidden, labels) > 0) {
        chunk_losses(pool, &losses);
        chunk_gradients(pool, &gradients);
    }
    mean_loss(&losses, count, loss, labelled_count);
    return PAN_OK;
}
