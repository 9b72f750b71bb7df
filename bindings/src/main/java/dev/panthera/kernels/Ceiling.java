package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** What bounds every kernel of a CPU device; see {@link Device#measure}. */
public enum Ceiling {
    /** Multiply-adds in registers, in floating-point operations a second. */
    FMA(PantheraAbi.PAN_CEILING_FMA()),
    /** Copying what no cache holds, in bytes read and written a second. */
    COPY(PantheraAbi.PAN_CEILING_COPY()),
    /** First writes to memory fresh from the operating system, in bytes a second. */
    FRESH_PAGES(PantheraAbi.PAN_CEILING_FRESH_PAGES());

    private final int code;

    Ceiling(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
