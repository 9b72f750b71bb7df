/* The activation functions and their derivatives. */
#ifndef PAN_REFERENCE_ACTIVATION_H
#define PAN_REFERENCE_ACTIVATION_H

#include "real.h"

static const double SQRT_HALF = 0.70710678118654752440;
static const double SQRT_2_OVER_PI = 0.79788456080286535588;
static const double INVERSE_SQRT_2_PI = 0.39894228040143267794;
static const double GELU_TANH_CUBIC = 0.044715;

static inline double sigmoid(double x) {
    return 1.0 / (1.0 + exp(-x));
}

/* Phi(x), the standard normal distribution function; by erfc, which keeps its digits where Phi is small. */
static inline double normal_distribution(double x) {
    return 0.5 * erfc(-x * SQRT_HALF);
}

static inline double gelu_tanh_inner(double x) {
    return tanh(SQRT_2_OVER_PI * (x + GELU_TANH_CUBIC * x * x * x));
}

/* log(1 + exp(x)); the exponential is at most 1. */
static inline double softplus(double x) {
    return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x)));
}

/* max(x, 0); NaN for NaN. */
static inline double positive_part(double x) {
    return x < 0.0 ? 0.0 : x;
}

static inline double activation(pan_activation kind, double x) {
    switch (kind) {
    case PAN_ACTIVATION_GELU: return x * normal_distribution(x);
    case PAN_ACTIVATION_GELU_TANH: return 0.5 * x * (1.0 + gelu_tanh_inner(x));
    case PAN_ACTIVATION_SILU: return x * sigmoid(x);
    case PAN_ACTIVATION_SIGMOID: return sigmoid(x);
    case PAN_ACTIVATION_SINE: return sin(x);
    case PAN_ACTIVATION_RELU: return positive_part(x);
    case PAN_ACTIVATION_EXP: return exp(x);
    case PAN_ACTIVATION_LOG: return log(x);
    case PAN_ACTIVATION_TANH: return tanh(x);
    case PAN_ACTIVATION_SOFTPLUS: return softplus(x);
    case PAN_ACTIVATION_LOG_SIGMOID: return -softplus(-x);
    case PAN_ACTIVATION_ELU_PLUS_ONE: return x > 0.0 ? x + 1.0 : exp(x);
    case PAN_ACTIVATION_SQUARE: return x * x;
    case PAN_ACTIVATION_RELU_SQUARED: return positive_part(x) * positive_part(x);
    default: return x;
    }
}

static inline double gelu_tanh_derivative(double x) {
    double t = gelu_tanh_inner(x);
    double slope = SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_TANH_CUBIC * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope;
}

static inline double activation_derivative(pan_activation kind, double x) {
    switch (kind) {
    case PAN_ACTIVATION_GELU: return normal_distribution(x) + x * INVERSE_SQRT_2_PI * exp(-0.5 * x * x);
    case PAN_ACTIVATION_GELU_TANH: return gelu_tanh_derivative(x);
    case PAN_ACTIVATION_SILU: return sigmoid(x) * (1.0 + x * sigmoid(-x));
    case PAN_ACTIVATION_SIGMOID: return sigmoid(x) * sigmoid(-x);
    case PAN_ACTIVATION_SINE: return cos(x);
    case PAN_ACTIVATION_RELU: return x > 0.0 ? 1.0 : x <= 0.0 ? 0.0 : x;
    case PAN_ACTIVATION_EXP: return exp(x);
    case PAN_ACTIVATION_LOG: return 1.0 / x;
    case PAN_ACTIVATION_TANH: return 1.0 / (cosh(x) * cosh(x));
    case PAN_ACTIVATION_SOFTPLUS: return sigmoid(x);
    case PAN_ACTIVATION_LOG_SIGMOID: return sigmoid(-x);
    case PAN_ACTIVATION_ELU_PLUS_ONE: return x > 0.0 ? 1.0 : exp(x);
    case PAN_ACTIVATION_SQUARE: return 2.0 * x;
    case PAN_ACTIVATION_RELU_SQUARED: return 2.0 * positive_part(x);
    default: return 1.0;
    }
}

#endif
