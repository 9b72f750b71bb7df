package dev.panthera.bench;

import java.util.Arrays;

/**
 * How long an action takes: median and least of several rounds.
 *
 * @param medianMs in milliseconds, on a machine that others use too
 * @param minMs the round that was disturbed least
 */
public record Timing(double medianMs, double minMs) {
    private static final double NANOS_PER_MS = 1e6;

    /**
     * How often an action is run.
     *
     * @param warmUps untimed rounds at least
     * @param warmUpSeconds how long the action is warmed up at least; the JVM compiles meanwhile
     * @param fewest timed rounds at least
     * @param most timed rounds at most
     * @param seconds how long more than the fewest are made
     */
    record Rounds(int warmUps, double warmUpSeconds, int fewest, int most, double seconds) {}

    /** Of rounds in nanoseconds, at least one. */
    public static Timing of(long[] nanos) {
        long[] sorted = nanos.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        double median =
                sorted.length % 2 == 1
                        ? sorted[middle]
                        : (sorted[middle - 1] + (double) sorted[middle]) / 2;
        return new Timing(median / NANOS_PER_MS, sorted[0] / NANOS_PER_MS);
    }

    /** Runs an action, and before each round, untimed, its preparation. */
    static Timing measure(Rounds rounds, Runnable preparation, Runnable action) {
        long started = System.nanoTime();
        for (int i = 0; i < rounds.warmUps || isWithin(rounds.warmUpSeconds, started); i++) {
            preparation.run();
            action.run();
        }
        long[] nanos = new long[rounds.most];
        started = System.nanoTime();
        int count = 0;
        while (count < rounds.most
                && (count < rounds.fewest || isWithin(rounds.seconds, started))) {
            preparation.run();
            long start = System.nanoTime();
            action.run();
            nanos[count++] = System.nanoTime() - start;
        }
        return of(Arrays.copyOf(nanos, count));
    }

    private static boolean isWithin(double seconds, long started) {
        return System.nanoTime() - started < 1e9 * seconds;
    }
}
