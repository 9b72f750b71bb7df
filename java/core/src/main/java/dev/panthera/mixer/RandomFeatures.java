package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.scale;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.Init;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.LinearOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Positive orthogonal random features of Performer (Choromanski et al. 2021, arXiv 2009.14794, lemma 1), after
 * {@code x' = x / f^(1/4)}: {@code exp(W x' - |x'|^2 / 2) / sqrt(m)}.
 *
 * <p>The rows of W, {@code (m, f)}, are not trained. As in the original they are orthonormal in blocks of f and then scaled by
 * {@code sqrt(f / m)}, so that the features are no unbiased estimate of the softmax kernel, for which the rows would have
 * the length of Gaussian vectors.
 */
public record RandomFeatures(@StateName("random_feats") Tensor directions) implements FeatureMap {

    /** @param size m */
    public record Config(int size) implements FeatureMapConfig {
        public Config {
            UserException.require(
                    size >= 1,
                    "performer: size %d: at least one random feature is needed; try 256",
                    size);
        }

        @Override
        public RandomFeatures build(int width, Init init) {
            return new RandomFeatures(
                    init.orthogonal(Math.sqrt((double) width / size), size, width));
        }
    }

    @Override
    public Tensor apply(Tape tape, Tensor x, Span span) {
        Tensor scaled = scale(tape, x, Math.pow(x.size(-1), -0.25));
        Tensor projected = LinearOperation.apply(tape, scaled, directions, null);
        Tensor norm = ReduceOperation.apply(tape, Reduction.SUM_OF_SQUARES, scaled, x.rank() - 1);
        Tensor exponent = projected.minus(scale(tape, norm, 0.5));
        return scale(tape, activate(tape, Activation.EXP, exponent), 1 / Math.sqrt(size()));
    }

    @Override
    public int size() {
        return directions.size(0);
    }

    /** As if there were a feature of each channel. */
    @Override
    public int publishedSize() {
        return directions.size(1);
    }
}
