package dev.panthera.mixer;

import dev.panthera.NamedConfigs;

/** The feature maps that can be asked for by name, with their usual options. */
public final class FeatureMaps {
    private static final double EPSILON = 1e-12;
    private static final int RANDOM_FEATURES = 256;

    /** All of them. */
    public static final NamedConfigs<FeatureMapConfig> ALL =
            new NamedConfigs<FeatureMapConfig>("feature map", FeatureMapConfig.class)
                    .with(
                            "taylor-exp",
                            "the exponential's Taylor series to the second order",
                            new TaylorExp.Config())
                    .with("identity", "x", new PointwiseMaps.IdentityMap())
                    .with("pos-elu", "elu(x) + 1", new PointwiseMaps.PosElu(1))
                    .with("relu", "max(x, 0)", new PointwiseMaps.Relu(1, EPSILON))
                    .with("square", "x^2", new PointwiseMaps.Square())
                    .with("squared-map", "x^2 / sqrt(2)", new PointwiseMaps.SquaredMap())
                    .with(
                            "all-poly",
                            "learnt polynomials of the second order",
                            new AllPoly.Config(0, true))
                    .with(
                            "cosformer",
                            "max(x, 0), weighted by the sine and cosine of the position",
                            new CosFormer.Config())
                    .with(
                            "performer",
                            "positive orthogonal random features",
                            new RandomFeatures.Config(RANDOM_FEATURES))
                    .with(
                            "favor-plus",
                            "random features that estimate the softmax, in pairs",
                            new FavorPlus.Config(RANDOM_FEATURES))
                    .with("full-space", "max([x, -x], 0)", new PointwiseMaps.FullSpace(EPSILON))
                    .with("exp-dim", "exp(max([x, -x], 0))", new PointwiseMaps.ExpDim(1, EPSILON))
                    .with(
                            "exp-max-norm",
                            "exp-dim of x - max x",
                            new PointwiseMaps.ExpMaxNorm(1, EPSILON))
                    .with(
                            "softmax-dim",
                            "[softmax(x), softmax(-x)]",
                            new PointwiseMaps.SoftmaxDim(1, EPSILON))
                    .with(
                            "softmax-dim-halfspace",
                            "softmax(x)",
                            new PointwiseMaps.SoftmaxDimHalfspace(1, EPSILON))
                    .with(
                            "exp-sum-norm",
                            "exp(|x|), normalised, by sign",
                            new PointwiseMaps.ExpSumNorm(1, EPSILON))
                    .with(
                            "exp-sum-norm-halfspace",
                            "exp(x) of positive x, normalised",
                            new PointwiseMaps.ExpSumNormHalfspace(EPSILON));

    private FeatureMaps() {}
}
