package dev.panthera.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A comparison for other programs: an object per mixer, then one per mixer and length. */
public final class ComparisonLines {
    private ComparisonLines() {}

    /** Each object as a map from key to number, text, list or null, keys in order; times in milliseconds, sizes in bytes. */
    public static List<Map<String, @Nullable Object>> of(MixerComparison comparison) {
        List<Map<String, @Nullable Object>> lines = new ArrayList<>();
        comparison.results().forEach(result -> lines.add(line(comparison.task(), result)));
        comparison.costs().forEach(cost -> lines.add(line(cost)));
        return lines;
    }

    private static Map<String, @Nullable Object> line(String task, MixerResult result) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("mixer", result.mixer());
        line.put("task", task);
        line.put("accuracy", result.testAccuracy());
        line.put("deciding_accuracy", result.decidingAccuracy());
        line.put("learning_rate", result.testAccuracy() == null ? null : result.learningRate());
        line.put("epochs", result.epochs());
        line.put("parameters", result.parameters());
        line.put("state_bytes", result.stateBytes());
        line.put("seconds", result.seconds());
        line.put("failures", result.failures());
        return line;
    }

    private static Map<String, @Nullable Object> line(StepCost cost) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("mixer", cost.mixer());
        line.put("length", cost.length());
        line.put("batch", cost.rows());
        if (cost.failure() != null) {
            line.put("failure", cost.failure());
            return line;
        }
        line.put("median_ms", milliseconds(cost.medianSeconds()));
        line.put("low_ms", milliseconds(cost.lowSeconds()));
        line.put("high_ms", milliseconds(cost.highSeconds()));
        line.put("tokens_per_s", (double) Math.round(cost.tokensPerSecond()));
        line.put("device_bytes", cost.deviceBytes());
        line.put("state_bytes", cost.stateBytes());
        return line;
    }

    private static double milliseconds(double seconds) {
        return Math.round(1e7 * seconds) / 1e4;
    }
}
