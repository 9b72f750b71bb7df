package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/** What turns a query or key of {@link LinearAttentionKernel} into features phi. */
public enum FeatureKind {
    /** Queries and keys are features already. */
    GIVEN(PantheraAbi.PAN_FEATURES_GIVEN()),
    /**
     * The exponential's Taylor series to the second order: {@code phi(q) . phi(k) = 1 + s + s^2 / 2} with
     * {@code s = q . k / sqrt(featureDim)} (Arora et al. 2024, arXiv 2402.18668, eq. 5).
     */
    TAYLOR(PantheraAbi.PAN_FEATURES_TAYLOR());

    private final int code;

    FeatureKind(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }

    /** Features of a query or key of {@code featureDim} channels; for {@link #TAYLOR}, each product of two channels once. */
    public long count(long featureDim) {
        return this == GIVEN ? featureDim : Sizes.sum(Sizes.sum(1, featureDim), pairs(featureDim));
    }

    private static long pairs(long featureDim) {
        return Sizes.product(featureDim, Sizes.sum(featureDim, 1)) / 2;
    }
}
