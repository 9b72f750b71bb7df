/* One step of AdamW in one pass over the parameters. */
#include <math.h>

#include "tile.h"

/* The step's factors, formed in double and rounded once. */
typedef struct adamw_factors {
    float decay;
    float beta1;
    float one_minus_beta1;
    float beta2;
    float one_minus_beta2;
    float step;
    float root_correction; /* 1 / sqrt(bias_correction2) */
    float epsilon;
} adamw_factors;

typedef struct adamw_job {
    int64_t count;
    adamw_factors factors;
    float *parameters;
    const float *gradients;
    float *exp_avg;
    float *exp_avg_sq;
} adamw_job;

/* Plain C, which the compiler vectorises, square root included. */
static void update(const adamw_factors *factors, int64_t count, float *restrict p, const float *restrict gradients,
                   float *restrict exp_avg, float *restrict exp_avg_sq) {
    const adamw_factors f = *factors;
    for (int64_t i = 0; i < count; i++) {
        const float g = gradients[i];
        const float m = f.beta1 * exp_avg[i] + f.one_minus_beta1 * g;
        const float v = f.beta2 * exp_avg_sq[i] + f.one_minus_beta2 * g * g;
        exp_avg[i] = m;
        exp_avg_sq[i] = v;
        p[i] = p[i] * f.decay - f.step * (m / (sqrtf(v) * f.root_correction + f.epsilon));
    }
}

static void adamw_task(void *context, int64_t task, int32_t worker) {
    (void) worker;
    const adamw_job *job = context;
    const tile_range tile = tile_at(task, TILE_ELEMENTS, job->count);
    update(&job->factors, tile.end - tile.begin, job->parameters + tile.begin, job->gradients + tile.begin,
           job->exp_avg + tile.begin, job->exp_avg_sq + tile.begin);
}

pan_status PAN_BODY(adamw_step)(pan_stream *stream, const pan_adamw_desc *desc, const pan_adamw_state *state,
                                float *parameters, const float *gradients, float *exp_avg, float *exp_avg_sq) {
    if (state->skip != 0) {
        return PAN_OK;
    }
    adamw_job job = {
        .count = desc->count,
        .factors = {.decay = (float) (1.0 - state->learning_rate * state->weight_decay),
                    .beta1 = (float) state->beta1,
                    .one_minus_beta1 = (float) (1.0 - state->beta1),
                    .beta2 = (float) state->beta2,
                    .one_minus_beta2 = (float) (1.0 - state->beta2),
                    .step = (float) (state->learning_rate / state->bias_correction1),
                    .root_correction = (float) (1.0 / sqrt(state->bias_correction2)),
                    .epsilon = (float) state->epsilon},
        .parameters = parameters,
        .gradients = gradients,
        .exp_avg = exp_avg,
        .exp_avg_sq = exp_avg_sq,
    };
    pan_parallel(stream->device->pool, ceil_div(desc->count, TILE_ELEMENTS), adamw_task, &job);
    return PAN_OK;
}
