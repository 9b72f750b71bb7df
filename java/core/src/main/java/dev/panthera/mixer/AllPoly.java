package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.scale;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Polynomials of the second order: {@code ((W1 x)^2 + W2 (x^2)) / sqrt(2)}. The weights start as those of any linear layer do: the
 * initial values that the original chooses for them are overwritten there too.
 */
public record AllPoly(@StateName("proj_1") Linear first, @StateName("proj_2") Linear second)
        implements FeatureMap {
    private static final double STANDARD_DEVIATION = 0.02;

    /**
     * @param outputDim features; 0: as many as there are channels
     * @param learnable whether the weights are trained
     */
    public record Config(int outputDim, boolean learnable) implements FeatureMapConfig {
        public Config {
            UserException.require(
                    outputDim >= 0,
                    "all-poly: output_dim %d: at least one feature is needed; try 0, for one of each channel",
                    outputDim);
        }

        @Override
        public AllPoly build(int width, Init init) {
            int size = outputDim == 0 ? width : outputDim;
            return new AllPoly(linear(width, size, init), linear(width, size, init));
        }

        private Linear linear(int width, int size, Init init) {
            return new Linear(init.normal(STANDARD_DEVIATION, learnable, size, width), null);
        }
    }

    @Override
    public Tensor apply(Tape tape, Tensor x, Span span) {
        Tensor products = activate(tape, Activation.SQUARE, first.apply(tape, x));
        Tensor squares = second.apply(tape, activate(tape, Activation.SQUARE, x));
        return scale(tape, products.plus(squares), Math.sqrt(0.5));
    }

    @Override
    public int size() {
        return first.weight().size(0);
    }
}
