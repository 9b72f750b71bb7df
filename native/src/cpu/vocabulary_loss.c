/* Cross entropy of a vocabulary head, forward; and how both passes cut the rows and the vocabulary. */
#include "vocabulary_tile.h"

vocabulary_plan plan_vocabulary(const pan_vocabulary_loss_desc *desc) {
    enum { MAX_GROUPS = 16, WANTED_GROUPS = 8, MIN_COLUMNS = 64, COLUMN_STEP = 16, GRADIENT_FLOATS = 1 << 20 };
    vocabulary_plan plan = {.columns = MAX_VOCABULARY_COLUMNS};
    while (plan.columns > MIN_COLUMNS && ceil_div(desc->vocab_size, plan.columns) < WANTED_GROUPS) {
        plan.columns -= COLUMN_STEP;
    }
    const int64_t tiles = ceil_div(desc->vocab_size, plan.columns);
    plan.group_columns = ceil_div(tiles, MAX_GROUPS) * plan.columns;
    plan.groups = ceil_div(desc->vocab_size, plan.group_columns);
    const int64_t chunk_tiles = GRADIENT_FLOATS / VOCABULARY_ROWS / desc->channels / plan.groups;
    plan.chunk_rows = VOCABULARY_ROWS * (chunk_tiles < 1 ? 1 : min_i64(chunk_tiles, MAX_CHUNK_TILES));
    plan.chunk_rows = min_i64(plan.chunk_rows, ceil_div(desc->rows, VOCABULARY_ROWS) * VOCABULARY_ROWS);
    return plan;
}

static int64_t next_chunk(vocabulary_chunk *chunk, const pan_vocabulary_loss_desc *desc, const int32_t *labels,
                          int64_t capacity) {
    chunk->count = 0;
    while (chunk->cursor < desc->rows && chunk->count < capacity) {
        if (labels[chunk->cursor] != PAN_IGNORE_LABEL) {
            chunk->rows[chunk->count++] = chunk->cursor;
        }
        chunk->cursor++;
    }
    return chunk->count;
}

typedef struct gather_job {
    const vocabulary_chunk *chunk;
    const pan_vocabulary_loss_desc *desc;
    const float *hidden;
} gather_job;

static void gather_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const gather_job *job = context;
    const vocabulary_chunk *chunk = job->chunk;
    const pan_vocabulary_loss_desc *desc = job->desc;
    const tile_range range = tile_at(task, VOCABULARY_ROWS, chunk->count);
    const size_t bytes = (size_t) desc->channels * sizeof(float);
    for (int64_t i = range.begin; i < range.end; i++) {
        memcpy(chunk->hidden + i * desc->channels, job->hidden + chunk->rows[i] * desc->hidden_stride, bytes);
    }
    const int64_t padded = range.begin + padded_rows(range.end - range.begin);
    memset(chunk->hidden + range.end * desc->channels, 0, (size_t) (padded - range.end) * bytes);
}

int64_t gather_chunk(pan_pool *pool, vocabulary_chunk *chunk, const pan_vocabulary_loss_desc *desc,
                     const vocabulary_plan *plan, const float *hidden, const int32_t *labels) {
    gather_job job = {.chunk = chunk, .desc = desc, .hidden = hidden};
    if (next_chunk(chunk, desc, labels, plan->chunk_rows) > 0) {
        pan_parallel(pool, ceil_div(chunk->count, VOCABULARY_ROWS), gather_task, &job);
    }
    return chunk->count;
}

/* Index of the first element that equals `value`, which one does. */
static int32_t find(const float *row, float value) {
    int32_t i = 0;
    while (!vi_any(vf_load(row + i) == value)) {
        i += LANES;
    }
    while (row[i] != value) {
        i++;
    }
    return i;
}

/* Adds the logits of one column tile to a row's part. */
static void add_logits(row_part *part, const float *row, int64_t first_column, int64_t columns) {
    const float max = score_max(row, columns, part->max);
    const float shift = score_shift(max);
    if (max > part->max) {
        part->sum *= expf(score_shift(part->max) - shift);
        part->arg_max = (int32_t) first_column + find(row, max);
        part->max = max;
    }
    part->sum += score_exp_sum(row, columns, shift);
}

/* Logits of a tile of rows and one group of the vocabulary. */
static void logits_task(void *context, int64_t task, int32_t worker) {
    const loss_job *job = context;
    const pan_vocabulary_loss_desc *desc = job->desc;
    const vocabulary_plan *plan = &job->plan;
    const int64_t group = task % plan->groups;
    const tile_range rows = tile_at(task / plan->groups, VOCABULARY_ROWS, job->chunk->count);
    const tile_range vocabulary = tile_at(group, plan->group_columns, desc->vocab_size);
    const bool keep = job->kept.values != NULL;
    const int64_t stride = keep ? job->kept.stride : MAX_VOCABULARY_COLUMNS;
    for (int64_t i = rows.begin; i < rows.end; i++) {
        job->parts[i * plan->groups + group] = (row_part){.max = -INFINITY, .arg_max = (int32_t) vocabulary.begin};
    }
    for (int64_t first = vocabulary.begin; first < vocabulary.end; first += plan->columns) {
        const int64_t columns = min_i64(plan->columns, vocabulary.end - first);
        float *logits =
            keep ? job->kept.values + rows.begin * stride + first : (float *) (job->scratch + worker * LOGITS_BYTES);
        pan_gemm(false, true, padded_rows(rows.end - rows.begin), columns, desc->channels, 1.0f,
                 job->chunk->hidden + rows.begin * desc->channels, desc->channels, job->weight + first * desc->channels,
                 desc->channels, 0.0f, logits, stride);
        for (int64_t i = rows.begin; i < rows.end; i++) {
            const float *row = logits + (i - rows.begin) * stride;
            const int64_t label = job->labels[job->chunk->rows[i]];
            if (label >= first && label < first + columns) {
                job->label_logits[i] = row[label - first];
            }
            add_logits(&job->parts[i * plan->groups + group], row, first, columns);
        }
    }
}

/* Combines the groups' parts, in their order, for a tile of rows. */
static void combine_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const loss_job *job = context;
    const int64_t groups = job->plan.groups;
    const tile_range range = tile_at(task, VOCABULARY_ROWS, job->chunk->count);
    for (int64_t i = range.begin; i < range.end; i++) {
        const row_part *parts = job->parts + i * groups;
        row_part best = parts[0];
        for (int64_t g = 1; g < groups; g++) {
            best = parts[g].max > best.max ? parts[g] : best;
        }
        const double shift = score_shift(best.max);
        double sum = 0.0;
        for (int64_t g = 0; g < groups; g++) {
            sum += parts[g].sum * exp(score_shift(parts[g].max) - shift);
        }
        const double lse = shift + log(sum);
        const int64_t row = job->chunk->rows[i];
        job->lse[row] = (float) lse;
        job->row_loss[row] = (float) (lse - job->label_logits[i]);
        job->arg_max[row] = best.arg_max;
    }
}

void chunk_losses(pan_pool *pool, loss_job *job) {
    const int64_t tiles = ceil_div(job->chunk->count, VOCABULARY_ROWS);
    pan_parallel(pool, tiles * job->plan.groups, logits_task, job);
    pan_parallel(pool, tiles, combine_task, job);
}

void clear_losses(const loss_job *job) {
    for (int64_t row = 0; row < job->desc->rows; row++) {
        if (job->labels[row] == PAN_IGNORE_LABEL) {
            job->row_loss[row] = 0.0f;
            job->lse[row] = 0.0f;
            job->arg_max[row] = -1;
        }
    }
}

/* Rows without a label have a loss of 0 and change nothing. */
void mean_loss(const loss_job *job, int64_t count, float *loss, int32_t *labelled_count) {
    double sum = 0.0;
    for (int64_t row = 0; row < job->desc->rows; row++) {
        sum += job->row_loss[row];
    }
    *loss = count > 0 ? (float) (sum / (double) count) : 0.0f;
    *labelled_count = (int32_t) count;
}

pan_status PAN_BODY(vocabulary_loss_forward_workspace_size)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                                            int64_t *bytes) {
    const vocabulary_plan plan = plan_vocabulary(desc);
    *bytes =
        chunk_bytes(&plan, desc->channels) + parts_bytes(&plan) + pan_pool_threads(stream->device->pool) * LOGITS_BYTES;
    return PAN_OK;
}

pan_status PAN_BODY(vocabulary_loss_forward)(pan_stream *stream, const pan_vocabulary_loss_desc *desc,
                                             const void *hidden, const float *weight, const int32_t *labels,
                                             float *loss, int32_t *labelled_count, float *row_loss, float *lse,
                                             int32_t *arg_max, void *workspace, int64_t workspace_bytes) {
    (void) workspace_bytes;
    pan_pool *pool = stream->device->pool;
    vocabulary_chunk chunk = {0};
    loss_job job = {.desc = desc,
                    .plan = plan_vocabulary(desc),
                    .chunk = &chunk,
                    .weight = weight,
                    .labels = labels,
                    .row_loss = row_loss,
                    .lse = lse,
                    .arg_max = arg_max};
    job.scratch = place_parts(&job, place_chunk(&chunk, &job.plan, desc->channels, workspace));
    clear_losses(&job);
    int64_t count = 0;
    while (gather_chunk(pool, &chunk, desc, &job.plan, hidden, labels) > 0) {
        chunk_losses(pool, &job);
        count += chunk.count;
    }
    mean_loss(&job, count, loss, labelled_count);
    return PAN_OK;
}
