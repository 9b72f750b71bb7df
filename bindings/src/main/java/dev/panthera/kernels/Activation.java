package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** A function applied to every element. */
public enum Activation {
    /** {@code x}. */
    IDENTITY(PantheraAbi.PAN_ACTIVATION_IDENTITY()),
    /** {@code x Phi(x)} with the normal distribution function Phi (Hendrycks and Gimpel 2016, arXiv 1606.08415). */
    GELU(PantheraAbi.PAN_ACTIVATION_GELU()),
    /** {@code x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))}. */
    GELU_TANH(PantheraAbi.PAN_ACTIVATION_GELU_TANH()),
    /** {@code x sigmoid(x)}. */
    SILU(PantheraAbi.PAN_ACTIVATION_SILU()),
    /** {@code 1 / (1 + exp(-x))}. */
    SIGMOID(PantheraAbi.PAN_ACTIVATION_SIGMOID()),
    /** {@code sin(x)}, x in radians. */
    SINE(PantheraAbi.PAN_ACTIVATION_SINE()),
    /** {@code max(x, 0)}; NaN for NaN; derivative 0 at 0. */
    RELU(PantheraAbi.PAN_ACTIVATION_RELU()),
    /** {@code exp(x)}. */
    EXP(PantheraAbi.PAN_ACTIVATION_EXP()),
    /** The natural logarithm: negative infinity at 0, NaN below. */
    LOG(PantheraAbi.PAN_ACTIVATION_LOG()),
    /** {@code tanh(x)}. */
    TANH(PantheraAbi.PAN_ACTIVATION_TANH()),
    /** {@code log(1 + exp(x))}, without overflow. */
    SOFTPLUS(PantheraAbi.PAN_ACTIVATION_SOFTPLUS()),
    /** {@code -log(1 + exp(-x))}, without overflow. */
    LOG_SIGMOID(PantheraAbi.PAN_ACTIVATION_LOG_SIGMOID()),
    /** {@code x + 1} where {@code x > 0}, else {@code exp(x)} (Katharopoulos et al. 2020, arXiv 2006.16236, eq. 7). */
    ELU_PLUS_ONE(PantheraAbi.PAN_ACTIVATION_ELU_PLUS_ONE()),
    /** {@code x^2}. */
    SQUARE(PantheraAbi.PAN_ACTIVATION_SQUARE()),
    /** {@code max(x, 0)^2} (So et al. 2021, arXiv 2109.08668). */
    RELU_SQUARED(PantheraAbi.PAN_ACTIVATION_RELU_SQUARED());

    private final int code;

    Activation(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
