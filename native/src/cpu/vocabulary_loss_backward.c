/* Cross entropy of a vocabulary head, backward: logits are formed again tile by tile, or were kept. */
#include "vocabulary_tile.h"

/* Turns a row's logits into g. `label` is relative to the row's first column. */
static void differentiate_row(float *row, int64_t columns, int64_t label, float lse, float scale) {
    const bool labelled = label >= 0 && label < columns;
    /* exp(z - lse) - 1 without cancellation. */
    const float at_label = labelled ? scale * expm1f(row[label] - lse) : 0.0f;
    for (int64_t v = 0; v < columns; v += LANES) {
        vf_store(row + v, vf_exp(vf_load(row + v) - lse) * scale);
    }
    if (labelled) {
        row[label] = at_label;
    }
}

/* A tile of rows and columns: its parts of dhidden and dweight. */
static void gradient_tile(const gradient_job *job, int64_t group, tile_range rows, tile_range columns, bool first,
                          int32_t worker) {
    const pan_vocabulary_loss_desc *desc = job->desc;
    const int64_t channels = desc->channels;
    const int64_t count = rows.end - rows.begin;
    const int64_t width = columns.end - columns.begin;
    const float *hidden = job->chunk->hidden + rows.begin * channels;
    const float *weight = job->weight + columns.begin * channels;
    const bool kept = job->kept.values != NULL;
    const int64_t stride = kept ? job->kept.stride : MAX_VOCABULARY_COLUMNS;
    float *logits = kept ? job->kept.values + rows.begin * stride + columns.begin
                         : (float *) (job->scratch + worker * LOGITS_BYTES);
    if (!kept) {
        pan_gemm(false, true, padded_rows(count), width, channels, 1.0f, hidden, channels, weight, channels, 0.0f,
                 logits, stride);
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = job->chunk->rows[rows.begin + i];
        differentiate_row(logits + i * stride, width, job->labels[row] - columns.begin, job->lse[row], job->scale);
    }
    if (job->dhidden != NULL) {
        float *sums = job->hidden_sums + (group * job->plan.chunk_rows + rows.begin) * channels;
        pan_gemm(false, false, padded_rows(count), channels, width, 1.0f, logits, stride, weight, channels,
                 first ? 0.0f : 1.0f, sums, channels);
    }
    if (job->dweight != NULL) {
        pan_gemm(true, false, width, channels, count, 1.0f, logits, stride, hidden, channels, 1.0f,
                 job->dweight + columns.begin * channels, channels);
    }
}

/* One group of the vocabulary, with all rows of the chunk in their order. */
static void gradient_task(void *context, int64_t task, int32_t worker) {
    const gradient_job *job = context;
    const tile_range vocabulary = tile_at(task, job->plan.group_columns, job->desc->vocab_size);
    for (int64_t first = vocabulary.begin; first < vocabulary.end; first += job->plan.columns) {
        const tile_range columns = {first, min_i64(first + job->plan.columns, vocabulary.end)};
        for (int64_t tile = 0; tile * VOCABULARY_ROWS < job->chunk->count; tile++) {
            gradient_tile(job, task, tile_at(tile, VOCABULARY_ROWS, job->chunk->count), columns,
                          first == vocabulary.begin, worker);
        }
    }
}

/* dhidden of a tile of labelled rows: the groups' parts in their order. */
static void sum_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const gradient_job *job = context;
    const int64_t channels = job->desc->channels;
    const int64_t group_floats = job->plan.chunk_rows * channels;
    const tile_range range = tile_at(task, VOCABULARY_ROWS, job->chunk->count);
    for (int64_t i = range.begin; i < range.end; i++) {
        float *restrict target = job->dhidden + job->chunk->rows[i] * job->desc->hidden_stride;
        const float *restrict part = job->hidden_sums + i * channels;
        memcpy(target, part, (size_t) channels * sizeof *target);
        for (int64_t group = 1; group < job->plan.groups; group++) {
            part += group_floats;
            for (int64_t c = 0; c < channels; c++) {
                target[c] += part[c];
            }
        }
    }
}

static void clear_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const gradient_job *job = context;
    const pan_vocabulary_loss_desc *desc = job->desc;
    const tile_range range = tile_at(task, tile_rows(desc->channels), desc->rows);
    for (int64_t row = range.begin; row < range.end; row++) {
        if (job->labels[row] == PAN_IGNORE_LABEL) {
            memset(job->dhidden + row * desc->hidden_stride, 0, (size_t) desc->channels * sizeof(float));
        }
    }
}

void clear_gradients(pan_pool *pool, gradient_job *job) {
    pan_parallel(pool, ceil_div(job->desc->rows, tile_rows(job->desc->channels)), clear_task, job);
}

void chunk_gradients(pan_pool *pool, gradient_job *job) {
    pan_parallel(pool, job->plan.groups, gradient_task, job);
    if (job->dhidden != NULL) {
        pan_parallel(pool, ceil_div(job->chunk->count, VOCABULARY_ROWS), sum_task, job);
    }
}

pan_status PAN_BODY(vocabulary_loss_backward_workspace_size)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                             int64_t *bytes) {
    const vocabulary_plan plan = plan_vocabulary(desc);
    *bytes = chunk_bytes(&plan, desc->channels) + hidden_sums_bytes(&plan, desc->channels) +
             pan_pool_threads(stream->device->pool) * LOGITS_BYTES;
    return PAN_OK;
}

pan_status PAN_BODY(vocabulary_loss_backward)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                              const void *hidden, const float *weight, const int32_t *labels,
                                              const int32_t *labelled_count, const float *lse, const float *dloss,
                                              void *dhidden, float *dweight, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    vocabulary_chunk chunk = {0};
    gradient_job job = {.desc = desc,
                        .plan = plan_vocabulary(desc),
                        .chunk = &chunk,
                        .weight = weight,
                        .labels = labels,
                        .lse = lse,
                        .scale = (float) ((double) *dloss / *labelled_count),
                        .dhidden = dhidden,
                        .dweight = dweight};
    char *next = place_chunk(&chunk, &job.plan, desc->channels, workspace);
    job.hidden_sums = (float *) next;
    job.scratch = next + hidden_sums_bytes(&job.plan, desc->channels);
    if (dhidden != NULL) {
        clear_gradients(pool, &job);
    }
    while (gather_chunk(pool, &chunk, desc, &job.plan, hidden, labels) > 0) {
        chunk_gradients(pool, &job);
    }
    return PAN_OK;
}
