package dev.panthera.task;

import dev.panthera.random.CounterRandom;

/**
 * Draws distinct indices one after the other, each with probability proportional to its weight among those left
 * (successive sampling), in O(log size) per draw whatever the weights.
 *
 * <p>A binary tree holds the weights in its leaves and in each inner node the sum of its two children. Drawing walks
 * down from the root, then sets the leaf to 0. Sums are recomputed from the children and never subtracted, so removing
 * heavy items loses no precision, and putting the weights back restores the tree bit by bit.
 */
final class WeightedSampler implements IndexSampler {

    /** Ratio of weights, as a logarithm, beyond which the lightest would be lost in a double. */
    static final double MAX_LOG_WEIGHT_RATIO = 600.0;

    private final int leaves;
    private final double[] sums;
    private final double[] weights;

    WeightedSampler(double[] weights) {
        this.weights = weights.clone();
        leaves = Integer.highestOneBit(Math.max(1, 2 * weights.length - 1));
        sums = new double[2 * leaves];
        System.arraycopy(weights, 0, sums, leaves, weights.length);
        for (int node = leaves - 1; node >= 1; node--) {
            sums[node] = sums[2 * node] + sums[2 * node + 1];
        }
    }

    /** Fills {@code out} with draws in order; it must not be longer than there are positive weights. */
    @Override
    public void draw(CounterRandom random, int[] out) {
        for (int i = 0; i < out.length; i++) {
            out[i] = find(random.nextDouble() * sums[1]);
            set(out[i], 0.0);
        }
        for (int index : out) {
            set(index, weights[index]);
        }
    }

    /** The test for an empty right half keeps a target that rounding pushed past the end on an item that is left. */
    private int find(double target) {
        int node = 1;
        while (node < leaves) {
            double left = sums[2 * node];
            double right = sums[2 * node + 1];
            if (target < left || right == 0.0) {
                node = 2 * node;
            } else {
                target -= left;
                node = 2 * node + 1;
            }
        }
        return node - leaves;
    }

    private void set(int index, double weight) {
        int node = leaves + index;
        sums[node] = weight;
        for (node /= 2; node >= 1; node /= 2) {
            sums[node] = sums[2 * node] + sums[2 * node + 1];
        }
    }
}
