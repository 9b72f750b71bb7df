/* Layer and RMS normalisation, fused with the residual addition: forward. */
#include "tile.h"
#include "vector_math.h"

typedef struct norm_job {
    const pan_norm_desc *desc;
    int64_t tile_rows;
    const float *x;
    const float *residual; /* may be NULL, as bias and mean */
    const float *weight;
    const float *bias;
    float *sum;
    float *y;
    float *mean;
    float *rstd;
} norm_job;

/* A centre in two floats: an array far from 0 would lose digits to a rounded mean. */
typedef struct split_mean {
    float leading;
    float rest;
} split_mean;

static inline vf centred(vf x, split_mean mean) {
    return (x - mean.leading) - mean.rest;
}

static void add_row(const float *x, const float *residual, float *sum, int64_t channels) {
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels - c);
        vf_store_first(sum + c, vf_load_first(x + c, lanes) + vf_load_first(residual + c, lanes), lanes);
    }
}

static split_mean row_mean(const float *x, int64_t channels) {
    vd sum = {0};
    for (int64_t c = 0; c < channels; c += LANES) {
        sum = vd_add(sum, vd_from_vf(vf_load_first(x + c, channels - c)));
    }
    const double mean = vd_sum(sum) / (double) channels;
    const float leading = (float) mean;
    return (split_mean){leading, (float) (mean - (double) leading)};
}

/* mean((x - mean)^2) */
static double row_mean_square(const float *x, split_mean mean, int64_t channels) {
    vd sum = {0};
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels - c);
        const vd deviation = vd_from_vf(vf_keep_first(centred(vf_load_first(x + c, lanes), mean), lanes));
        sum = vd_multiply_add(deviation, deviation, sum);
    }
    return vd_sum(sum) / (double) channels;
}

PAN_INLINE void scale_row(const float *x, split_mean mean, float rstd, const float *weight, const float *bias, float *y,
                          int64_t channels) {
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = min_i64(LANES, channels - c);
        const vf n = centred(vf_load_first(x + c, lanes), mean) * rstd;
        const vf scaled = n * vf_load_first(weight + c, lanes);
        vf_store_first(y + c, bias == NULL ? scaled : scaled + vf_load_first(bias + c, lanes), lanes);
    }
}

static void normalise_row(const norm_job *job, int64_t row) {
    const pan_norm_desc *desc = job->desc;
    const int64_t channels = desc->channels;
    const int64_t first = row * desc->stride;
    const float *x = job->x + first;
    if (job->residual != NULL) {
        add_row(x, job->residual + first, job->sum + first, channels);
        x = job->sum + first;
    }
    const split_mean mean = desc->kind == PAN_NORM_LAYER ? row_mean(x, channels) : (split_mean){0};
    const float rstd = (float) (1.0 / sqrt(row_mean_square(x, mean, channels) + (double) desc->epsilon));
    if (job->bias == NULL) {
        scale_row(x, mean, rstd, job->weight, NULL, job->y + first, channels);
    } else {
        scale_row(x, mean, rstd, job->weight, job->bias, job->y + first, channels);
    }
    job->rstd[row] = rstd;
    if (job->mean != NULL) {
        job->mean[row] = mean.leading;
    }
}

static void forward_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const norm_job *job = context;
    const tile_range tile = tile_at(task, job->tile_rows, job->desc->rows);
    for (int64_t row = tile.begin; row < tile.end; row++) {
        normalise_row(job, row);
    }
}

pan_status PAN_BODY(norm_forward)(pan_stream *stream, const pan_norm_desc *desc, const void *x, const void *residual,
                                  const float *weight, const float *bias, void *sum, void *y, float *mean,
                                  float *rstd) {
    norm_job job = {.desc = desc,
                    .tile_rows = tile_rows(desc->channels),
                    .x = x,
                    .residual = residual,
                    .weight = weight,
                    .bias = bias,
                    .sum = sum,
                    .y = y,
                    .mean = mean,
                    .rstd = rstd};
    pan_parallel(stream->device->pool, ceil_div(desc->rows, job.tile_rows), forward_task, &job);
    return PAN_OK;
}
