package dev.panthera.report;

import java.util.Collection;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A handful of values in short.
 *
 * @param standardDeviation of the sample, with n - 1 in the denominator; 0 for one value
 */
public record Statistics(int count, double mean, double min, double max, double standardDeviation) {

    /** Of finite values; empty if there are none. */
    public static Optional<Statistics> of(Collection<Double> values) {
        if (values.isEmpty()) {
            return Optional.empty();
        }
        double mean = values.stream().mapToDouble(value -> value).sum() / values.size();
        double min = Double.POSITIVE_INFINITY;
        double max = Double.NEGATIVE_INFINITY;
        double squares = 0;
        for (double value : values) {
            min = Math.min(min, value);
            max = Math.max(max, value);
            squares += (value - mean) * (value - mean);
        }
        double deviation = values.size() > 1 ? Math.sqrt(squares / (values.size() - 1)) : 0;
        return Optional.of(new Statistics(values.size(), mean, min, max, deviation));
    }

    static @Nullable Double finiteOrNull(@Nullable Double value) {
        return value != null && Double.isFinite(value) ? value : null;
    }
}
