package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.atLeast;
import static dev.panthera.mixer.FeatureOps.bothSigns;
import static dev.panthera.mixer.FeatureOps.negate;
import static dev.panthera.mixer.FeatureOps.scale;
import static dev.panthera.mixer.FeatureOps.with;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.Init;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Positive random features in pairs, an unbiased estimate of the softmax's weights (FAVOR+; Choromanski et al. 2021, arXiv
 * 2009.14794, lemma 1, second form), after {@code x' = x / f^(1/4)}:
 *
 * <pre>phi(x) = exp([W x', -W x'] - |x'|^2 / 2) / sqrt(m)        E[phi(q) . phi(k)] = exp(q . k / sqrt(f))</pre>
 *
 * The rows of W, {@code (m / 2, f)}, are not trained. Each is a Gaussian vector, and they are orthogonal in blocks of f.
 *
 * <p>A feature is {@code exp(|w|^2 / 2) / sqrt(m)} at most, where x' is w. That overflows for wide vectors only, |w|^2 being f on
 * average; so features end at {@code e^30}, for all x, whatever else is in the sequence. A feature that is too small for its number
 * is 0.
 */
public record FavorPlus(@StateName("projection_matrix") Tensor directions) implements FeatureMap {

    /** The logarithm of the largest feature: 2^16 products of two, times values of 1e6, have a finite sum. */
    static final double LARGEST = 30;

    /** @param size m, even */
    public record Config(int size) implements FeatureMapConfig {
        public Config {
            UserException.require(
                    size >= 2 && size % 2 == 0,
                    "favor-plus: size %d: features come in pairs; try %d",
                    size,
                    Math.max(2, size / 2 * 2));
        }

        @Override
        public FavorPlus build(int width, Init init) {
            return new FavorPlus(init.orthogonalGaussian(size / 2, width));
        }
    }

    @Override
    public Tensor apply(Tape tape, Tensor x, Span span) {
        return exponential(tape, logarithms(tape, x));
    }

    /** The logarithms of {@code x}'s features, without the bound. */
    Tensor logarithms(Tape tape, Tensor x) {
        Tensor scaled = scale(tape, x, Math.pow(x.size(-1), -0.25));
        Tensor projected = LinearOperation.apply(tape, scaled, directions, null);
        Tensor norm = ReduceOperation.apply(tape, Reduction.SUM_OF_SQUARES, scaled, x.rank() - 1);
        Tensor half = scale(tape, norm, 0.5);
        return bothSigns(tape, projected)
                .minus(with(tape, ArithmeticKind.ADD, half, 0.5 * Math.log(size())));
    }

    /** The features of such logarithms, bounded. */
    static Tensor exponential(Tape tape, Tensor logarithms) {
        Tensor bounded = negate(tape, atLeast(tape, negate(tape, logarithms), -LARGEST));
        return activate(tape, Activation.EXP, bounded);
    }

    @Override
    public int size() {
        return 2 * directions.size(0);
    }
}
