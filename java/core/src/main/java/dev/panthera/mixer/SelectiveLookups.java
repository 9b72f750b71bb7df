package dev.panthera.mixer;

import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;

/**
 * Attention whose outputs are added to the input where a softmax over the positions selects them (Arora et al. 2023, arXiv
 * 2312.04927, its code): {@code y[t] = x[t] + f[t] (W_o a[t] + b)}, where f is the softmax of a linear score of x over time. In training
 * all positions attend, in evaluation the chosen ones, the others pass their inputs on. The causal form has the softmax over the
 * positions so far; see {@link SelectedAttention}, which it is.
 */
public final class SelectiveLookups {
    private SelectiveLookups() {}

    /**
     * @param heads divides the width
     * @param k how many positions may be chosen; 0: the square root of the length, rounded up
     * @param dropout probability of dropping a weight when training
     * @param bias whether the query, key and value projections have one
     * @param causal false: as published, with a look at the whole sequence
     */
    public record Config(int heads, int k, double dropout, boolean bias, boolean causal)
            implements LookupConfig {
        public Config {
            SelectedAttention.requirePlaces(k);
        }

        /** Causal, with the original's other options. */
        public Config(int heads) {
            this(heads, 0, 0, true, true);
        }

        @Override
        public Selection selection(Layer layer, Init init) {
            return new TimeSoftmax(Linear.of(layer.width(), 1, init), causal);
        }
    }
}
