/* One attention from the attentions over two sets of keys. The weights of neighbouring queries of a head lie side by side;
 * the rows of o that they belong to do not. */
#include "score_row.h"
#include "tile.h"

typedef pan_attention_merge_desc merge_desc;

/* Queries whose weights are computed at a time. */
enum { MERGE_PIECE = 4 * LANES };

typedef struct merge_job {
    const merge_desc *desc;
    int64_t task_queries;
    int64_t tiles; /* of queries, of a head */
    const float *o1, *lse1, *o2, *lse2, *o, *d_o, *d_lse;
    float *o_out, *lse_out, *d_o1, *d_lse1, *d_o2, *d_lse2;
} merge_job;

/* Weights of neighbouring queries, 0 of sets without keys; and log(exp(lse1) + exp(lse2)). */
typedef struct merge_weights {
    float first[MERGE_PIECE];
    float second[MERGE_PIECE];
    float lse[MERGE_PIECE];
} merge_weights;

static merge_weights weights_of(const float *lse1, const float *lse2, int64_t count) {
    const vf none = vf_splat(-INFINITY), zero = vf_splat(0.0f);
    merge_weights weights;
    for (int64_t i = 0; i < count; i += LANES) {
        const vf a = vf_load_first(lse1 + i, count - i), b = vf_load_first(lse2 + i, count - i);
        const vi order = (a > b) | (a != a); /* a NaN is the larger one */
        const vf large = vf_select(order, a, b), small = vf_select(order, b, a);
        const vf e = vf_exp(small - large), one = 1.0f / (1.0f + e);
        const vf of_large = vf_select(large == none, zero, one), of_small = vf_select(large == none, zero, e * one);
        vf_store(weights.first + i, vf_select(order, of_large, of_small));
        vf_store(weights.second + i, vf_select(order, of_small, of_large));
        vf_store(weights.lse + i, vf_select(large == none, none, large + vf_log_one_plus(e)));
    }
    return weights;
}

/* weight * x, where what has no weight does not count whatever it is. */
static vf weighted(float weight, vf x) {
    return weight == 0.0f ? vf_splat(0.0f) : weight * x;
}

/* Neighbouring queries of a head: their number in lse, and where the first one's row of o lies. */
typedef struct merge_rows {
    int64_t statistic;
    int64_t first;
    int64_t stride;
    int64_t count;
} merge_rows;

static merge_rows rows_at(const merge_desc *desc, int64_t head, int64_t t, int64_t count) {
    const int64_t b = head / desc->heads, h = head % desc->heads;
    return (merge_rows){head * desc->length + t, ((b * desc->length + t) * desc->heads + h) * desc->head_dim,
                        desc->heads * desc->head_dim, count};
}

static void forward_rows(const merge_job *job, const merge_rows *rows) {
    const int64_t columns = job->desc->head_dim, statistic = rows->statistic;
    const merge_weights weights = weights_of(job->lse1 + statistic, job->lse2 + statistic, rows->count);
    memcpy(job->lse_out + statistic, weights.lse, (size_t) rows->count * sizeof *weights.lse);
    for (int64_t i = 0; i < rows->count; i++) {
        const int64_t row = rows->first + i * rows->stride;
        for (int64_t c = 0; c < columns; c += LANES) {
            const vf o1 = vf_load_first(job->o1 + row + c, columns - c);
            const vf o2 = vf_load_first(job->o2 + row + c, columns - c);
            const vf o = weighted(weights.first[i], o1) + weighted(weights.second[i], o2);
            vf_store_first(job->o_out + row + c, o, columns - c);
        }
    }
}

/* The gradient of a row of one of the two; returns that of its lse. */
static float part_gradient(const merge_job *job, float weight, float d_lse, const float *part, int64_t row,
                           float *d_part) {
    const int64_t columns = job->desc->head_dim;
    vf sum = vf_splat(0.0f);
    for (int64_t c = 0; c < columns; c += LANES) {
        const vf d_o = vf_load_first(job->d_o + row + c, columns - c);
        const vf difference = vf_load_first(part + row + c, columns - c) - vf_load_first(job->o + row + c, columns - c);
        sum += weighted(weight, d_o * difference);
        vf_store_first(d_part + row + c, weighted(weight, d_o), columns - c);
    }
    return weight == 0.0f ? 0.0f : vf_sum(sum) + weight * d_lse;
}

static void backward_rows(const merge_job *job, const merge_rows *rows) {
    const int64_t statistic = rows->statistic;
    const merge_weights weights = weights_of(job->lse1 + statistic, job->lse2 + statistic, rows->count);
    for (int64_t i = 0; i < rows->count; i++) {
        const int64_t row = rows->first + i * rows->stride;
        const float d_lse = job->d_lse == NULL ? 0.0f : job->d_lse[statistic + i];
        job->d_lse1[statistic + i] = part_gradient(job, weights.first[i], d_lse, job->o1, row, job->d_o1);
        job->d_lse2[statistic + i] = part_gradient(job, weights.second[i], d_lse, job->o2, row, job->d_o2);
    }
}

PAN_INLINE void merge_task(const merge_job *job, int64_t task,
                           void (*rows_body)(const merge_job *, const merge_rows *)) {
    const tile_range queries = tile_at(task % job->tiles, job->task_queries, job->desc->length);
    for (int64_t t = queries.begin; t < queries.end; t += MERGE_PIECE) {
        const merge_rows rows = rows_at(job->desc, task / job->tiles, t, min_i64(MERGE_PIECE, queries.end - t));
        rows_body(job, &rows);
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    merge_task(context, task, forward_rows);
}

static void backward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    merge_task(context, task, backward_rows);
}

static void run(const pan_stream *stream, merge_job *job, pan_task *task) {
    const merge_desc *desc = job->desc;
    job->task_queries = min_i64(tile_rows(desc->head_dim), desc->length);
    job->tiles = ceil_div(desc->length, job->task_queries);
    pan_parallel(stream->device->pool, desc->batch * desc->heads * job->tiles, task, job);
}

pan_status PAN_BODY(attention_merge_forward)(pan_stream *stream, const merge_desc *desc, const void *o1,
                                             const float *lse1, const void *o2, const float *lse2, void *o,
                                             float *lse) {
    merge_job job = {.desc = desc, .o1 = o1, .lse1 = lse1, .o2 = o2, .lse2 = lse2, .o_out = o, .lse_out = lse};
    run(stream, &job, forward_task);
    return PAN_OK;
}

pan_status PAN_BODY(attention_merge_backward)(pan_stream *stream, const merge_desc *desc, const void *o1,
                                              const float *lse1, const void *o2, const float *lse2, const void *o,
                                              const float *lse, const void *d_o, const float *d_lse, void *d_o1,
                                              float *d_lse1, void *d_o2, float *d_lse2) {
    (void) lse;
    merge_job job = {.desc = desc,
                     .o1 = o1,
                     .lse1 = lse1,
                     .o2 = o2,
                     .lse2 = lse2,
                     .o = o,
                     .d_o = d_o,
                     .d_lse = d_lse,
                     .d_o1 = d_o1,
                     .d_lse1 = d_lse1,
                     .d_o2 = d_o2,
                     .d_lse2 = d_lse2};
    run(stream, &job, backward_task);
    return PAN_OK;
}
