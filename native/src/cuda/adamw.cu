// One step of AdamW in one pass over the parameters.
#include "block.cuh"

namespace {

// The factors are formed in double from the step's state on the device and rounded once, as on the CPU.
struct adamw_element {
    const pan_adamw_state *state;
    float *parameters;
    const float *gradients;
    float *exp_avg, *exp_avg_sq;

    __device__ void operator()(int64_t i) const {
        const pan_adamw_state s = *state;
        if (s.skip != 0) {
            return;
        }
        const auto beta1 = static_cast<float>(s.beta1), rest1 = static_cast<float>(1.0 - s.beta1);
        const auto beta2 = static_cast<float>(s.beta2), rest2 = static_cast<float>(1.0 - s.beta2);
        const auto decay = static_cast<float>(1.0 - s.learning_rate * s.weight_decay);
        const auto step = static_cast<float>(s.learning_rate / s.bias_correction1);
        const auto root_correction = static_cast<float>(1.0 / sqrt(s.bias_correction2));
        const float g = gradients[i];
        const float m = beta1 * exp_avg[i] + rest1 * g;
        const float v = beta2 * exp_avg_sq[i] + rest2 * g * g;
        exp_avg[i] = m;
        exp_avg_sq[i] = v;
        parameters[i] =
            parameters[i] * decay - step * (m / (sqrtf(v) * root_correction + static_cast<float>(s.epsilon)));
    }
};

} // namespace

pan_status cuda_adamw_step(pan_stream *stream, const pan_adamw_desc *desc, const pan_adamw_state *state,
                           float *parameters, const float *gradients, float *exp_avg, float *exp_avg_sq) {
    return for_each(stream, "adamw_step", 1, desc->count,
                    adamw_element{state, parameters, gradients, exp_avg, exp_avg_sq});
}
