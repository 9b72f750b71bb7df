package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** How {@link NormKernel} normalises a row. */
public enum NormKind {
    /** By mean and variance (Ba et al. 2016, arXiv 1607.06450). */
    LAYER(PantheraAbi.PAN_NORM_LAYER()),
    /** By the root of the mean square (Zhang and Sennrich 2019, arXiv 1910.07467). */
    RMS(PantheraAbi.PAN_NORM_RMS());

    private final int code;

    NormKind(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
