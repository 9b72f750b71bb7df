package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;

/**
 * {@link SelectiveLookups} with a softmax of two logits of each position over a trained temperature:
 * {@code f[t] = softmax((W x[t] + b) / temperature)[1]}.
 */
public final class Sma {
    private Sma() {}

    /**
     * @param heads divides the width
     * @param k how many positions may be chosen; 0: the square root of the length, rounded up
     * @param dropout probability of dropping a weight when training
     * @param bias whether the query, key and value projections have one
     * @param alpha the temperature at first, in square roots of the width
     * @param causal false: as published, with a look at the whole sequence
     */
    public record Config(
            int heads, int k, double dropout, boolean bias, double alpha, boolean causal)
            implements LookupConfig {
        public Config {
            SelectedAttention.requirePlaces(k);
            UserException.require(
                    alpha > 0 && Double.isFinite(alpha),
                    "sma: alpha %s: a positive number is needed; try 0.3",
                    alpha);
        }

        /** Causal, with the original's other options. */
        public Config(int heads) {
            this(heads, 0, 0, true, 0.3, true);
        }

        @Override
        public Selection selection(Layer layer, Init init) {
            int width = layer.width();
            var temperature = init.constant((float) (Math.sqrt(width) * alpha), 1);
            return new PairSoftmax(Linear.of(width, 2, init), temperature);
        }
    }
}
