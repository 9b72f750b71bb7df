package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.FeatureKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.LinearAttentionOperation;
import dev.panthera.tensor.MatmulOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.RotaryOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Linear attention with a feature map phi (Arora et al. 2024, arXiv 2402.18668, eq. 4, 5): for each head
 *
 * <pre>y[t] = sum_{s&lt;=t} (phi(q[t]) . phi(k[s])) v[s] / (sum_{s&lt;=t} phi(q[t]) . phi(k[s]) + epsilon)</pre>
 *
 * and then a projection. What the original calls its linear and its quadratic view are this same function. q and k have
 * {@code featureDim} channels a head, v has its share of the width; no projection has a bias.
 *
 * @param causal false: sums are over all positions, so that the mixer sees the future and cannot decode
 * @param rotaryBase of the rotary positions of q and k; 0: they have none
 */
public record Based(
        @StateName("proj_q") Linear queries,
        @StateName("proj_k") Linear keys,
        @StateName("proj_v") Linear values,
        @StateName("proj_o") Linear output,
        FeatureMap featureMap,
        int heads,
        float epsilon,
        boolean causal,
        double rotaryBase)
        implements Mixer {

    /**
     * @param featureDim channels of a head of queries and keys, before the feature map
     * @param heads divides the width
     * @param featureMap what makes features of them
     * @param epsilon added to the sum of a query's weights
     * @param causal false: every position sees all, for comparison with the original's option; no language model is made so
     * @param rotary whether queries and keys are rotated by their positions (Su et al. 2021, arXiv 2104.09864)
     * @param rotaryBase of the angles
     */
    public record Config(
            int featureDim,
            int heads,
            FeatureMapConfig featureMap,
            double epsilon,
            boolean causal,
            boolean rotary,
            double rotaryBase)
            implements MixerConfig {
        private static final double EPSILON = 1e-12;
        private static final double BASE = 10000;

        public Config {
            UserException.require(
                    featureDim >= 1,
                    "based: feature_dim %d: at least one channel is needed; try 16",
                    featureDim);
            Heads.requirePositive("based", heads);
            UserException.require(
                    epsilon >= 0 && Double.isFinite(epsilon),
                    "based: epsilon %s: a number of at least 0 is needed; try 1e-12",
                    epsilon);
            UserException.require(
                    !rotary || featureDim % 2 == 0,
                    "based: feature_dim %d: rotary positions turn pairs of channels; try %d, or rotary: false",
                    featureDim,
                    featureDim + 1);
            UserException.require(
                    rotaryBase > 0 && Double.isFinite(rotaryBase),
                    "based: rotary_base %s: a positive number is needed; try 10000",
                    rotaryBase);
        }

        /** Causal, without rotary positions. */
        public Config(int featureDim, int heads, FeatureMapConfig featureMap) {
            this(featureDim, heads, featureMap, EPSILON, true, false, BASE);
        }

        @Override
        public void check(int width) {
            Heads.requireDivisor(heads, width);
        }

        @Override
        public boolean needsPositions() {
            return !rotary;
        }

        @Override
        public Based build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            int featureWidth = Heads.width(heads, featureDim);
            return new Based(
                    Linear.of(width, featureWidth, false, init),
                    Linear.of(width, featureWidth, false, init),
                    Linear.of(width, width, false, init),
                    Linear.of(width, width, false, init),
                    featureMap.build(featureDim, init),
                    heads,
                    (float) epsilon,
                    causal,
                    rotary ? rotaryBase : 0);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return output.apply(tape, mix(tape, x));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(tape, GatherRowsOperation.apply(tape, mix(tape, x), rows));
    }

    /** All but the output projection, which needs no other row than its own. */
    private Tensor mix(Tape tape, Tensor x) {
        var span = new FeatureMap.Span(0, x.size(1));
        Tensor q = projected(tape, queries, x, span);
        Tensor k = projected(tape, keys, x, span);
        Tensor v = values.apply(tape, x);
        if (!causal) {
            return attendToAll(tape, q, k, v, span);
        }
        return LinearAttentionOperation.apply(
                tape, weights(), heads, features(tape, q, span), features(tape, k, span), v);
    }

    private LinearAttentionOperation.Weights weights() {
        return new LinearAttentionOperation.Weights(featureMap.kernelFeatures(), true, epsilon);
    }

    /** Queries or keys {@code (batch, length, heads, featureDim)}, rotated if they are to be. */
    private Tensor projected(Tape tape, Linear projection, Tensor x, FeatureMap.Span span) {
        Tensor flat = projection.apply(tape, x);
        Tensor placed =
                rotaryBase == 0
                        ? flat
                        : RotaryOperation.apply(
                                tape, Columns.of(flat), heads, false, rotaryBase, span.first());
        return ReshapeOperation.apply(
                tape, placed, x.size(0), x.size(1), heads, flat.size(2) / heads);
    }

    /** What the kernel takes, the heads side by side. */
    private Tensor features(Tape tape, Tensor x, FeatureMap.Span span) {
        Tensor split =
                featureMap.kernelFeatures() == FeatureKind.GIVEN
                        ? featureMap.apply(tape, x, span)
                        : x;
        return ReshapeOperation.apply(tape, split, x.size(0), x.size(1), -1);
    }

    /** {@code phi(q) (phi(k)^T v)}, divided by {@code phi(q) . sum phi(k)}, over all positions. */
    private Tensor attendToAll(Tape tape, Tensor q, Tensor k, Tensor v, FeatureMap.Span span) {
        int batch = v.size(0);
        int length = v.size(1);
        Tensor phiQ = headsFirst(tape, featureMap.apply(tape, q, span));
        Tensor phiK = headsFirst(tape, featureMap.apply(tape, k, span));
        Tensor byHead = headsFirst(tape, ReshapeOperation.apply(tape, v, batch, length, heads, -1));
        Tensor state = MatmulOperation.apply(tape, phiK, true, byHead, false, 1);
        Tensor total = ReduceOperation.apply(tape, Reduction.SUM, phiK, 2);
        Tensor sums = MatmulOperation.apply(tape, phiQ, false, total, true, 1);
        Tensor y =
                MatmulOperation.apply(tape, phiQ, state)
                        .dividedBy(FeatureOps.with(tape, ArithmeticKind.ADD, sums, epsilon));
        return ReshapeOperation.apply(tape, headsFirst(tape, y), batch, length, -1);
    }

    /** {@code (batch, length, heads, channels)} as {@code (batch, heads, length, channels)}, and back. */
    private static Tensor headsFirst(Tape tape, Tensor x) {
        return PermuteOperation.apply(tape, x, 0, 2, 1, 3);
    }

    /** Keeps the sums over the positions so far. A map that depends on the sequences' length takes the state's capacity for it. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        var span = new FeatureMap.Span(state.position(), state.capacity());
        Tensor q = projected(tape, queries, x, span);
        Tensor k = projected(tape, keys, x, span);
        Tensor v = values.apply(tape, x);
        Tensor sums =
                state.tensor("sums", x.size(0), heads, featureMap.size(), v.size(2) / heads + 1);
        return output.apply(
                tape,
                LinearAttentionOperation.extend(
                        tape,
                        weights(),
                        heads,
                        features(tape, q, span),
                        features(tape, k, span),
                        v,
                        sums));
    }

    /** For each head the sums of phi(k) v and of phi(k). */
    @Override
    public long stateSize(int length) {
        return sums(featureMap.size());
    }

    @Override
    public long publishedStateSize(int length) {
        return sums(featureMap.publishedSize());
    }

    private long sums(int features) {
        return (long) features * (values.weight().size(0) + heads);
    }
}
