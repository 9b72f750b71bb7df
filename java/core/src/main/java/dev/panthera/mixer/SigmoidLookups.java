package dev.panthera.mixer;

import dev.panthera.nn.Init;

/**
 * {@link SelectiveLookups} with a gate of each position for itself: {@code f[t] = sigmoid(w . x[t])}. In training the loss has a penalty
 * on the mean of f, as far as it exceeds the share of places.
 */
public final class SigmoidLookups {
    private SigmoidLookups() {}

    /**
     * @param heads divides the width
     * @param k how many positions may be chosen; 0: the square root of the length, rounded up
     * @param dropout probability of dropping a weight when training
     * @param bias whether the query, key and value projections have one
     * @param penalty by which the excess is multiplied
     * @param causal false: as published, with a look at the whole sequence
     */
    public record Config(
            int heads, int k, double dropout, boolean bias, double penalty, boolean causal)
            implements LookupConfig {
        public Config {
            SelectedAttention.requirePlaces(k);
            LearnedSelection.requireFactor("penalty", penalty);
        }

        /** Causal, with the original's other options. */
        public Config(int heads) {
            this(heads, 0, 0, true, 1e-3, true);
        }

        @Override
        public Selection selection(Layer layer, Init init) {
            return new LearnedSelection.Config(false, penalty, 0, false).build(layer, init);
        }
    }
}
