package dev.panthera.train;

import java.util.Map;

/**
 * How well a model does on a split.
 *
 * @param loss mean cross entropy over the labelled positions
 * @param accuracy mean over the examples of the share of labelled positions that are predicted exactly
 * @param examples number of examples
 * @param slices accuracy by slice and value, for example {@code num_kv_pairs -> 4 -> 0.99}
 */
public record Evaluation(
        double loss, double accuracy, long examples, Map<String, Map<Integer, Double>> slices) {}
