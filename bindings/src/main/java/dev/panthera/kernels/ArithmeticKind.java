package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** Operation of {@link ArithmeticKernel}. */
public enum ArithmeticKind {
    /** {@code a + b}. */
    ADD(PantheraAbi.PAN_ADD()),
    /** {@code a - b}. */
    SUBTRACT(PantheraAbi.PAN_SUBTRACT()),
    /** {@code a * b}. */
    MULTIPLY(PantheraAbi.PAN_MULTIPLY()),
    /** {@code a / b}. */
    DIVIDE(PantheraAbi.PAN_DIVIDE()),
    /** The larger of a and b; NaN where either is. */
    MAXIMUM(PantheraAbi.PAN_MAXIMUM());

    private final int code;

    ArithmeticKind(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
