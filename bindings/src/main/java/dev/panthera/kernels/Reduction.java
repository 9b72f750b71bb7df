package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** What {@link ReduceKernel} makes of the elements along a dimension. */
public enum Reduction {
    /** Their sum. */
    SUM(PantheraAbi.PAN_REDUCE_SUM()),
    /** Their mean. */
    MEAN(PantheraAbi.PAN_REDUCE_MEAN()),
    /** The sum of their squares. */
    SUM_OF_SQUARES(PantheraAbi.PAN_REDUCE_SUM_OF_SQUARES()),
    /** The sum of their magnitudes, the L1 norm. */
    SUM_OF_MAGNITUDES(PantheraAbi.PAN_REDUCE_SUM_OF_MAGNITUDES()),
    /** How many of them are NaN or infinite; has no gradient. */
    NONFINITE(PantheraAbi.PAN_REDUCE_NONFINITE()),
    /** The largest of them, NaN if one is; the gradient goes to the first that is it. */
    MAX(PantheraAbi.PAN_REDUCE_MAX());

    private final int code;

    Reduction(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
