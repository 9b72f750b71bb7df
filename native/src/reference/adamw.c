/* One step of AdamW. */
#include "real.h"

pan_status PAN_BODY(adamw_step)(pan_stream *stream, const pan_adamw_desc *desc, const pan_adamw_state *state,
                                float *parameters_, const float *gradients_, float *exp_avg_, float *exp_avg_sq_) {
    (void) stream;
    if (state->skip != 0) {
        return PAN_OK;
    }
    real *parameters = REAL_OUT(parameters_), *exp_avg = REAL_OUT(exp_avg_), *exp_avg_sq = REAL_OUT(exp_avg_sq_);
    const real *gradients = REAL(gradients_);
    double decay = 1.0 - state->learning_rate * state->weight_decay;
    double step = state->learning_rate / state->bias_correction1;
    for (int64_t i = 0; i < desc->count; i++) {
        double g = gradients[i];
        double m = state->beta1 * exp_avg[i] + (1.0 - state->beta1) * g;
        double v = state->beta2 * exp_avg_sq[i] + (1.0 - state->beta2) * g * g;
        double update = step * m / (sqrt(v / state->bias_correction2) + state->epsilon);
        parameters[i] = (real) (parameters[i] * decay - update);
        exp_avg[i] = (real) m;
        exp_avg_sq[i] = (real) v;
    }
    return PAN_OK;
}
