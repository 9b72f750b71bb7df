package dev.panthera.train;

import java.util.Map;

/**
 * How well a model does on a split.
 *
 * @param loss the mean of the run's {@linkplain dev.panthera.model.Loss loss} over the labelled positions
 * @param accuracy mean over the examples of the share of labelled positions that are predicted exactly
 * @param examples number of examples
 * @param slices accuracy by slice and value, for example {@code num_kv_pairs -> 4 -> 0.99}. Those of a task's tags (see
 *     {@link dev.panthera.task.TaskConfig#slices()}) are means over the examples with that tag, like {@code accuracy}.
 *     {@link #KEY_QUERY_DISTANCE} is the share of right answers among the labelled positions in that bucket of
 *     distances, each position counting once, whatever example it is from; it is there only if it was asked for and the
 *     task tells distances.
 */
public record Evaluation(
        double loss, double accuracy, long examples, Map<String, Map<Integer, Double>> slices) {

    /**
     * Slice by the distance to where the answer was last shown
     * ({@link dev.panthera.task.TaskConfig#answerDistance}). Its values are the upper bounds 1, 2, 4, 8, ... of the
     * buckets: b stands for distances in (b/2, b].
     */
    public static final String KEY_QUERY_DISTANCE = "key_query_distance";
}
