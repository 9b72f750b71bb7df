/* The activations and their derivatives, shared by the ops that apply them. */
#ifndef PAN_CPU_ACTIVATION_H
#define PAN_CPU_ACTIVATION_H

#include "tile.h"
#include "vector_math.h"

/* f(x) and f'(x). What a caller does not use is not computed: activate() is inlined with a constant kind. */
typedef struct vf_activation {
    vf value;
    vf slope;
} vf_activation;

static inline vf_activation activate_gelu(vf x) {
    const vf_normal normal = vf_normal_distribution(x);
    return (vf_activation){x * normal.cumulative, x * 3.98942280e-1f * normal.bell + normal.cumulative};
}

/* (1 + tanh(z)) / 2 = sigmoid(2 z), and 2 z = x (2 sqrt(2/pi) + 2 sqrt(2/pi) 0.044715 x^2). */
#define PAN_GELU_TANH_LINEAR 1.5957691216057308
#define PAN_GELU_TANH_CUBIC 0.07135481627260025

static inline vd_half gelu_tanh_argument(vd_half x) {
    return x * (x * x * PAN_GELU_TANH_CUBIC + PAN_GELU_TANH_LINEAR);
}

static inline vf_activation activate_gelu_tanh(vf x) {
    /* Beyond 12 the exponential of the argument underflows; a NaN passes both comparisons. */
    vf bounded = vf_select(x > 12.0f, vf_splat(12.0f), x);
    bounded = vf_select(x < -12.0f, vf_splat(-12.0f), bounded);
    /* The exponential would magnify the error of an argument rounded to float. */
    const vd magnitude = vd_from_vf(vf_abs(bounded));
    const vd argument = {-gelu_tanh_argument(magnitude.low), -gelu_tanh_argument(magnitude.high)};
    const vf_sigmoid_pair s = vf_sigmoid_from_exp(x, vf_exp_double(argument));
    const vf steepness = bounded * bounded * (float) (3.0 * PAN_GELU_TANH_CUBIC) + (float) PAN_GELU_TANH_LINEAR;
    return (vf_activation){x * s.positive, bounded * steepness * s.negative * s.positive + s.positive};
}

static inline vf_activation activate_silu(vf x) {
    const vf_sigmoid_pair s = vf_sigmoid(x);
    return (vf_activation){x * s.positive, (x * s.negative + 1.0f) * s.positive};
}

static inline vf_activation activate_sigmoid(vf x) {
    const vf_sigmoid_pair s = vf_sigmoid(x);
    return (vf_activation){s.positive, s.positive * s.negative};
}

static inline vf_activation activate_tanh(vf x) {
    const vf_tanh_pair t = vf_tanh(x);
    return (vf_activation){t.value, t.slope};
}

/* max(x, 0); NaN for NaN. */
static inline vf positive_part(vf x) {
    return vf_select(x < 0.0f, (vf){0}, x);
}

static inline vf_activation activate_softplus(vf x) {
    const vf decay = vf_exp(-vf_abs(x));
    return (vf_activation){vf_select(x > 0.0f, x, (vf){0}) + vf_log_one_plus(decay),
                           vf_sigmoid_from_exp(x, decay).positive};
}

static inline vf_activation activate_log_sigmoid(vf x) {
    const vf decay = vf_exp(-vf_abs(x));
    return (vf_activation){vf_select(x < 0.0f, x, (vf){0}) - vf_log_one_plus(decay),
                           vf_sigmoid_from_exp(x, decay).negative};
}

static inline vf_activation activate_elu_plus_one(vf x) {
    const vf exponential = vf_exp(x);
    return (vf_activation){vf_select(x > 0.0f, x + 1.0f, exponential),
                           vf_select(x > 0.0f, vf_splat(1.0f), exponential)};
}

PAN_INLINE vf_activation activate(pan_activation kind, vf x) {
    switch (kind) {
    case PAN_ACTIVATION_GELU: return activate_gelu(x);
    case PAN_ACTIVATION_GELU_TANH: return activate_gelu_tanh(x);
    case PAN_ACTIVATION_SILU: return activate_silu(x);
    case PAN_ACTIVATION_SIGMOID: return activate_sigmoid(x);
    case PAN_ACTIVATION_SINE: return (vf_activation){vf_sin(x), vf_cos(x)};
    case PAN_ACTIVATION_RELU:
        return (vf_activation){positive_part(x), vf_select(x > 0.0f, vf_splat(1.0f), vf_select(x <= 0.0f, (vf){0}, x))};
    case PAN_ACTIVATION_EXP: return (vf_activation){vf_exp(x), vf_exp(x)};
    case PAN_ACTIVATION_LOG: return (vf_activation){vf_log(x), 1.0f / x};
    case PAN_ACTIVATION_TANH: return activate_tanh(x);
    case PAN_ACTIVATION_SOFTPLUS: return activate_softplus(x);
    case PAN_ACTIVATION_LOG_SIGMOID: return activate_log_sigmoid(x);
    case PAN_ACTIVATION_ELU_PLUS_ONE: return activate_elu_plus_one(x);
    case PAN_ACTIVATION_SQUARE: return (vf_activation){x * x, x * 2.0f};
    case PAN_ACTIVATION_RELU_SQUARED:
        return (vf_activation){positive_part(x) * positive_part(x), positive_part(x) * 2.0f};
    default: return (vf_activation){x, vf_splat(1.0f)};
    }
}

/* Calls function(kind, ...) with a constant kind, so that an always-inlined function becomes one loop per kind. */
#define PAN_WITH_ACTIVATION(kind, function, ...)                                                 \
    switch (kind) {                                                                              \
    case PAN_ACTIVATION_GELU: function(PAN_ACTIVATION_GELU, __VA_ARGS__); break;                 \
    case PAN_ACTIVATION_GELU_TANH: function(PAN_ACTIVATION_GELU_TANH, __VA_ARGS__); break;       \
    case PAN_ACTIVATION_SILU: function(PAN_ACTIVATION_SILU, __VA_ARGS__); break;                 \
    case PAN_ACTIVATION_SIGMOID: function(PAN_ACTIVATION_SIGMOID, __VA_ARGS__); break;           \
    case PAN_ACTIVATION_SINE: function(PAN_ACTIVATION_SINE, __VA_ARGS__); break;                 \
    case PAN_ACTIVATION_RELU: function(PAN_ACTIVATION_RELU, __VA_ARGS__); break;                 \
    case PAN_ACTIVATION_EXP: function(PAN_ACTIVATION_EXP, __VA_ARGS__); break;                   \
    case PAN_ACTIVATION_LOG: function(PAN_ACTIVATION_LOG, __VA_ARGS__); break;                   \
    case PAN_ACTIVATION_TANH: function(PAN_ACTIVATION_TANH, __VA_ARGS__); break;                 \
    case PAN_ACTIVATION_SOFTPLUS: function(PAN_ACTIVATION_SOFTPLUS, __VA_ARGS__); break;         \
    case PAN_ACTIVATION_LOG_SIGMOID: function(PAN_ACTIVATION_LOG_SIGMOID, __VA_ARGS__); break;   \
    case PAN_ACTIVATION_ELU_PLUS_ONE: function(PAN_ACTIVATION_ELU_PLUS_ONE, __VA_ARGS__); break; \
    case PAN_ACTIVATION_SQUARE: function(PAN_ACTIVATION_SQUARE, __VA_ARGS__); break;             \
    case PAN_ACTIVATION_RELU_SQUARED: function(PAN_ACTIVATION_RELU_SQUARED, __VA_ARGS__); break; \
    default: function(PAN_ACTIVATION_IDENTITY, __VA_ARGS__); break;                              \
    }

#endif
