package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.atLeast;
import static dev.panthera.mixer.FeatureOps.bothSigns;
import static dev.panthera.mixer.FeatureOps.negate;
import static dev.panthera.mixer.FeatureOps.scale;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.ArithmeticOperation;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SoftmaxOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Feature maps of the original that have neither parameters nor positions. {@code temperature} multiplies x; {@code epsilon} is the
 * least value of a feature, or, for {@link ExpDim} and {@link ExpMaxNorm}, of an exponent.
 */
public final class PointwiseMaps {
    private PointwiseMaps() {}

    private static void check(double temperature, double epsilon) {
        UserException.require(
                Double.isFinite(temperature) && temperature != 0,
                "feature map: temperature %s: a number other than 0 is needed; try 1",
                temperature);
        UserException.require(
                epsilon >= 0 && Double.isFinite(epsilon),
                "feature map: epsilon %s: a number of at least 0 is needed; try 1e-12",
                epsilon);
    }

    /** {@code x} */
    public record IdentityMap() implements PointwiseMap.Formula {
        @Override
        public Tensor apply(Tape tape, Tensor x) {
            return x;
        }
    }

    /** {@code elu(x) + 1} (Katharopoulos et al. 2020, arXiv 2006.16236, eq. 7). */
    public record PosElu(double temperature) implements PointwiseMap.Formula {
        public PosElu {
            check(temperature, 0);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            return activate(tape, Activation.ELU_PLUS_ONE, scale(tape, x, temperature));
        }
    }

    /** {@code max(x, 0)}, at least epsilon. */
    public record Relu(double temperature, double epsilon) implements PointwiseMap.Formula {
        public Relu {
            check(temperature, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            Tensor positive = activate(tape, Activation.RELU, scale(tape, x, temperature));
            return atLeast(tape, positive, epsilon);
        }
    }

    /** {@code x^2} */
    public record Square() implements PointwiseMap.Formula {
        @Override
        public Tensor apply(Tape tape, Tensor x) {
            return activate(tape, Activation.SQUARE, x);
        }
    }

    /** {@code x^2 / sqrt(2)} */
    public record SquaredMap() implements PointwiseMap.Formula {
        @Override
        public Tensor apply(Tape tape, Tensor x) {
            return scale(tape, activate(tape, Activation.SQUARE, x), Math.sqrt(0.5));
        }
    }

    /** {@code [x, -x]}, at least epsilon. */
    public record FullSpace(double epsilon) implements PointwiseMap.Formula {
        public FullSpace {
            check(1, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            return atLeast(tape, bothSigns(tape, x), epsilon);
        }

        @Override
        public int perChannel() {
            return 2;
        }
    }

    /** {@code exp([x, -x])}, with an exponent of at least epsilon: as in the original, the bound comes before the exponential. */
    public record ExpDim(double temperature, double epsilon) implements PointwiseMap.Formula {
        public ExpDim {
            check(temperature, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            Tensor exponent = new FullSpace(epsilon).apply(tape, scale(tape, x, temperature));
            return activate(tape, Activation.EXP, exponent);
        }

        @Override
        public int perChannel() {
            return 2;
        }
    }

    /** {@link ExpDim} of {@code x - max x}. */
    public record ExpMaxNorm(double temperature, double epsilon) implements PointwiseMap.Formula {
        public ExpMaxNorm {
            check(temperature, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            Tensor scaled = scale(tape, x, temperature);
            Tensor largest = ReduceOperation.apply(tape, Reduction.MAX, scaled, x.rank() - 1);
            Tensor below =
                    ArithmeticOperation.apply(tape, ArithmeticKind.SUBTRACT, scaled, largest);
            return new ExpDim(1, epsilon).apply(tape, below);
        }

        @Override
        public int perChannel() {
            return 2;
        }
    }

    /** {@code [softmax(x), softmax(-x)]}, at least epsilon. */
    public record SoftmaxDim(double temperature, double epsilon) implements PointwiseMap.Formula {
        public SoftmaxDim {
            check(temperature, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            Tensor scaled = scale(tape, x, temperature);
            Tensor both =
                    ConcatenateOperation.apply(
                            tape,
                            -1,
                            SoftmaxOperation.apply(tape, scaled),
                            SoftmaxOperation.apply(tape, negate(tape, scaled)));
            return atLeast(tape, both, epsilon);
        }

        @Override
        public int perChannel() {
            return 2;
        }
    }

    /** {@code softmax(x)}, at least epsilon. */
    public record SoftmaxDimHalfspace(double temperature, double epsilon)
            implements PointwiseMap.Formula {
        public SoftmaxDimHalfspace {
            check(temperature, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            return atLeast(
                    tape, SoftmaxOperation.apply(tape, scale(tape, x, temperature)), epsilon);
        }
    }

    /**
     * {@code exp(|x|) / sum exp(|x|)} of each channel, in one of two features by the sign of x; the other one, and both where x
     * is 0, are epsilon. The two features of a channel stand side by side.
     */
    public record ExpSumNorm(double temperature, double epsilon) implements PointwiseMap.Formula {
        /** So large that of any positive number it makes more than 1. */
        private static final double STEEP = 1e30;

        public ExpSumNorm {
            check(temperature, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            Tensor scaled = scale(tape, x, temperature);
            Tensor minus = negate(tape, scaled);
            Tensor shares = shares(tape, scaled, minus);
            int[] pairs = x.shape();
            pairs[x.rank() - 1] *= 2;
            Tensor both =
                    ConcatenateOperation.apply(
                            tape,
                            -1,
                            column(tape, wherePositive(tape, shares, scaled)),
                            column(tape, wherePositive(tape, shares, minus)));
            return atLeast(tape, ReshapeOperation.apply(tape, both, pairs), epsilon);
        }

        private static Tensor column(Tape tape, Tensor x) {
            return ReshapeOperation.apply(tape, x, Math.toIntExact(x.size()), 1);
        }

        /** {@code exp(|x|)}, normalised. */
        static Tensor shares(Tape tape, Tensor x, Tensor minus) {
            return SoftmaxOperation.apply(
                    tape, ArithmeticOperation.apply(tape, ArithmeticKind.MAXIMUM, x, minus));
        }

        /** Shares of the channels that are positive, and 0 elsewhere. */
        static Tensor wherePositive(Tape tape, Tensor shares, Tensor x) {
            Tensor positive = activate(tape, Activation.RELU, x);
            Tensor step = negate(tape, atLeast(tape, scale(tape, positive, -STEEP), -1));
            return ArithmeticOperation.apply(tape, ArithmeticKind.MULTIPLY, shares, step);
        }

        @Override
        public int perChannel() {
            return 2;
        }
    }

    /** The first features of {@link ExpSumNorm} alone, those of positive channels, without a temperature. */
    public record ExpSumNormHalfspace(double epsilon) implements PointwiseMap.Formula {
        public ExpSumNormHalfspace {
            check(1, epsilon);
        }

        @Override
        public Tensor apply(Tape tape, Tensor x) {
            Tensor shares = ExpSumNorm.shares(tape, x, negate(tape, x));
            return atLeast(tape, ExpSumNorm.wherePositive(tape, shares, x), epsilon);
        }
    }
}
