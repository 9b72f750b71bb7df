package dev.panthera.sweep;

import dev.panthera.UserException;
import java.util.Arrays;
import java.util.stream.IntStream;

/** The factor {@code lr}: learning rates of the first epoch. */
public final class LearningRate {
    private LearningRate() {}

    /** These learning rates. */
    public static Factor of(double... rates) {
        return Factor.of("lr", Arrays.stream(rates).boxed().toArray());
    }

    /** As many learning rates, evenly spaced on a log scale from {@code 10^from} to {@code 10^to}. */
    public static Factor logspace(double from, double to, int count) {
        UserException.require(
                count >= 2, "logspace of %d learning rates: at least 2 are needed", count);
        return of(
                IntStream.range(0, count)
                        .mapToDouble(i -> StrictMath.pow(10, from + (to - from) * i / (count - 1)))
                        .toArray());
    }
}
