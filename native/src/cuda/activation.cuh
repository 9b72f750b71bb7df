// The activations and their derivatives.
#ifndef PAN_CUDA_ACTIVATION_CUH
#define PAN_CUDA_ACTIVATION_CUH

#include <cuda_runtime.h>

#include <cmath>
#include <type_traits>

#include "panthera.h"

// f(x) and f'(x). What a caller does not use is not computed: activate() is inlined.
struct activation_value {
    float value;
    float slope;
};

__device__ inline float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

__device__ inline activation_value activate_gelu(float x) {
    const float cumulative = normcdff(x);
    // Beyond 14 the bell underflows; the bound keeps Inf * 0 out of the slope. A NaN passes both comparisons.
    const float bounded = x > 14.0f ? 14.0f : x < -14.0f ? -14.0f : x;
    return {x * cumulative, cumulative + bounded * 0.398942280f * expf(-0.5f * bounded * bounded)};
}

// (1 + tanh(z)) / 2 = sigmoid(2 z) with z = sqrt(2/pi) (x + 0.044715 x^3).
__device__ inline activation_value activate_gelu_tanh(float x) {
    constexpr float LINEAR = 1.5957691216f; // 2 sqrt(2/pi)
    constexpr float CUBIC = 0.0713548163f;  // LINEAR * 0.044715
    // Beyond 12 the sigmoid is 0 or 1 to the last bit.
    const float bounded = x > 12.0f ? 12.0f : x < -12.0f ? -12.0f : x;
    const float square = bounded * bounded;
    const float argument = bounded * (LINEAR + CUBIC * square);
    const float positive = sigmoid(argument);
    const float slope = positive + bounded * (LINEAR + 3.0f * CUBIC * square) * positive * sigmoid(-argument);
    return {x * positive, slope};
}

// max(x, 0); NaN for NaN.
__device__ inline float positive_part(float x) {
    return x < 0.0f ? 0.0f : x;
}

// log(1 + exp(x)); the exponential is at most 1.
__device__ inline float softplus(float x) {
    return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}

template <pan_activation KIND> __device__ inline activation_value activate(float x) {
    if constexpr (KIND == PAN_ACTIVATION_GELU) {
        return activate_gelu(x);
    } else if constexpr (KIND == PAN_ACTIVATION_GELU_TANH) {
        return activate_gelu_tanh(x);
    } else if constexpr (KIND == PAN_ACTIVATION_SILU) {
        const float s = sigmoid(x);
        return {x * s, s * (1.0f + x * sigmoid(-x))};
    } else if constexpr (KIND == PAN_ACTIVATION_SIGMOID) {
        const float s = sigmoid(x);
        return {s, s * sigmoid(-x)};
    } else if constexpr (KIND == PAN_ACTIVATION_SINE) {
        return {sinf(x), cosf(x)};
    } else if constexpr (KIND == PAN_ACTIVATION_RELU) {
        return {positive_part(x), x > 0.0f ? 1.0f : x <= 0.0f ? 0.0f : x};
    } else if constexpr (KIND == PAN_ACTIVATION_EXP) {
        return {expf(x), expf(x)};
    } else if constexpr (KIND == PAN_ACTIVATION_LOG) {
        return {logf(x), 1.0f / x};
    } else if constexpr (KIND == PAN_ACTIVATION_TANH) {
        const float secant = 1.0f / coshf(x);
        return {tanhf(x), secant * secant};
    } else if constexpr (KIND == PAN_ACTIVATION_SOFTPLUS) {
        return {softplus(x), sigmoid(x)};
    } else if constexpr (KIND == PAN_ACTIVATION_LOG_SIGMOID) {
        return {-softplus(-x), sigmoid(-x)};
    } else if constexpr (KIND == PAN_ACTIVATION_ELU_PLUS_ONE) {
        return {x > 0.0f ? x + 1.0f : expf(x), x > 0.0f ? 1.0f : expf(x)};
    } else if constexpr (KIND == PAN_ACTIVATION_SQUARE) {
        return {x * x, 2.0f * x};
    } else if constexpr (KIND == PAN_ACTIVATION_RELU_SQUARED) {
        return {positive_part(x) * positive_part(x), 2.0f * positive_part(x)};
    } else {
        return {x, 1.0f};
    }
}

// Calls run(kind) with the kind as a compile-time constant.
template <typename Run> pan_status with_activation(pan_activation kind, Run run) {
    switch (kind) {
    case PAN_ACTIVATION_GELU: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_GELU>{});
    case PAN_ACTIVATION_GELU_TANH: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_GELU_TANH>{});
    case PAN_ACTIVATION_SILU: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_SILU>{});
    case PAN_ACTIVATION_SIGMOID: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_SIGMOID>{});
    case PAN_ACTIVATION_SINE: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_SINE>{});
    case PAN_ACTIVATION_RELU: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_RELU>{});
    case PAN_ACTIVATION_EXP: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_EXP>{});
    case PAN_ACTIVATION_LOG: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_LOG>{});
    case PAN_ACTIVATION_TANH: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_TANH>{});
    case PAN_ACTIVATION_SOFTPLUS: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_SOFTPLUS>{});
    case PAN_ACTIVATION_LOG_SIGMOID: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_LOG_SIGMOID>{});
    case PAN_ACTIVATION_ELU_PLUS_ONE: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_ELU_PLUS_ONE>{});
    case PAN_ACTIVATION_SQUARE: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_SQUARE>{});
    case PAN_ACTIVATION_RELU_SQUARED: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_RELU_SQUARED>{});
    default: return run(std::integral_constant<pan_activation, PAN_ACTIVATION_IDENTITY>{});
    }
}

#endif
