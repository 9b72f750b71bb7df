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
    RELU(PantheraAbi.PAN_ACTIVATION_RELU());

    private final int code;

    Activation(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
