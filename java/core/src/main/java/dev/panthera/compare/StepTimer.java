package dev.panthera.compare;

import dev.panthera.UserException;
import dev.panthera.train.TrainConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Times the training steps of several mixers at growing lengths. At each length the mixers take turns, so that what disturbs the
 * machine for a while disturbs all of them alike.
 */
final class StepTimer {
    /** In which the JVM compiles what a step runs, for each mixer. */
    private static final double WARM_UP_SECONDS = 1;

    private static final int WARM_UP_ROUNDS = 2;
    private static final int FEWEST_ROUNDS = 5;
    private static final int MOST_ROUNDS = 21;

    /** How long more than the fewest rounds are made at a length, for each mixer. */
    private static final double SECONDS_A_LENGTH = 1;

    private final TimedStep.Factory steps;
    private final LongSupplier nanoTime;
    private final BooleanSupplier stopRequested;
    private boolean warm;

    StepTimer(TimedStep.Factory steps, LongSupplier nanoTime, BooleanSupplier stopRequested) {
        this.steps = steps;
        this.nanoTime = nanoTime;
        this.stopRequested = stopRequested;
    }

    /**
     * What was measured.
     *
     * @param costs by length, at each in the order of the plan
     * @param leftOut lengths for which there was no time
     */
    record Timed(List<StepCost> costs, List<Integer> leftOut) {}

    /**
     * Times the steps of a plan's mixers. A mixer that fails at a length is told of there, and takes no part in longer ones.
     *
     * @param limitSeconds no length is begun that would probably end later
     * @param listener hears the costs of each length
     */
    Timed time(ComparisonPlan plan, double limitSeconds, Consumer<List<StepCost>> listener) {
        long begun = nanoTime.getAsLong();
        List<String> mixers = new ArrayList<>(plan.mixers().keySet());
        List<StepCost> all = new ArrayList<>();
        double last = 0;
        for (int length : plan.lengths()) {
            boolean tooLong = seconds(begun) + 2 * last > limitSeconds;
            if (tooLong || stopRequested.getAsBoolean() || mixers.isEmpty()) {
                int at = plan.lengths().indexOf(length);
                return new Timed(
                        all,
                        tooLong ? plan.lengths().subList(at, plan.lengths().size()) : List.of());
            }
            long start = nanoTime.getAsLong();
            List<StepCost> costs = at(length, plan, mixers);
            last = seconds(start);
            all.addAll(costs);
            costs.stream()
                    .filter(cost -> !cost.measured())
                    .forEach(cost -> mixers.remove(cost.mixer()));
            listener.accept(costs);
        }
        return new Timed(all, List.of());
    }

    private List<StepCost> at(int length, ComparisonPlan plan, List<String> mixers) {
        Map<String, StepCost> costs = together(length, plan, mixers);
        if (mixers.size() > 1) {
            for (String mixer : mixers) {
                // What did not fit beside the others may fit alone.
                if (!costs.get(mixer).measured() && !stopRequested.getAsBoolean()) {
                    costs.putAll(together(length, plan, List.of(mixer)));
                }
            }
        }
        return List.copyOf(costs.values());
    }

    /** A mixer at one length: its step and how long each took, or why there are none any more. */
    private static final class Turn implements AutoCloseable {
        private final String mixer;
        private final TimedStep.Factory steps;
        private @Nullable TimedStep step;
        private @Nullable String failure;
        private final List<Long> nanos = new ArrayList<>();

        Turn(String mixer, TimedStep.Factory steps) {
            this.mixer = mixer;
            this.steps = steps;
        }

        void open(TrainConfig config) {
            attempt(() -> step = steps.of(config));
        }

        /** Makes a step, which must be open. */
        void run() {
            Objects.requireNonNull(step).run();
        }

        void attempt(Runnable action) {
            if (failure != null) {
                return;
            }
            try {
                action.run();
            } catch (RuntimeException | OutOfMemoryError trouble) {
                failure = message(trouble);
                close();
            }
        }

        private static String message(Throwable trouble) {
            String text = trouble.getMessage();
            String line =
                    trouble instanceof UserException && text != null ? text : trouble.toString();
            return line.replaceAll("\\s*\\R\\s*", " ").strip();
        }

        @Override
        public void close() {
            if (step != null) {
                step.close();
                step = null;
            }
        }
    }

    private Map<String, StepCost> together(int length, ComparisonPlan plan, List<String> mixers) {
        List<Turn> turns = mixers.stream().map(mixer -> new Turn(mixer, steps)).toList();
        int rows = StepConfigs.rows(plan, length);
        try {
            for (Turn turn : turns) {
                turn.open(StepConfigs.at(plan, turn.mixer, length));
            }
            warmUp(turns);
            rounds(turns);
            Map<String, StepCost> costs = new LinkedHashMap<>();
            turns.forEach(turn -> costs.put(turn.mixer, cost(turn, length, rows)));
            return costs;
        } finally {
            turns.forEach(Turn::close);
        }
    }

    private void warmUp(List<Turn> turns) {
        long begun = nanoTime.getAsLong();
        double least = warm ? 0 : WARM_UP_SECONDS * turns.size();
        warm = true;
        for (int i = 0; i < WARM_UP_ROUNDS || seconds(begun) < least; i++) {
            if (!round(turns, Turn::run)) {
                return;
            }
        }
    }

    private void rounds(List<Turn> turns) {
        long begun = nanoTime.getAsLong();
        double most = SECONDS_A_LENGTH * turns.size();
        for (int i = 0; i < FEWEST_ROUNDS || i < MOST_ROUNDS && seconds(begun) < most; i++) {
            boolean any =
                    round(
                            turns,
                            turn -> {
                                long start = nanoTime.getAsLong();
                                turn.run();
                                turn.nanos.add(nanoTime.getAsLong() - start);
                            });
            if (!any) {
                return;
            }
        }
    }

    /** A turn of each; false once there is nothing more to do. */
    private boolean round(List<Turn> turns, Consumer<Turn> action) {
        boolean any = false;
        for (Turn turn : turns) {
            if (stopRequested.getAsBoolean()) {
                return false;
            }
            turn.attempt(() -> action.accept(turn));
            any |= turn.failure == null;
        }
        return any;
    }

    private static StepCost cost(Turn turn, int length, int rows) {
        if (turn.failure != null || turn.nanos.isEmpty()) {
            String why = turn.failure == null ? "interrupted" : turn.failure;
            return StepCost.failed(turn.mixer, length, rows, why);
        }
        TimedStep step = Objects.requireNonNull(turn.step);
        double[] seconds = turn.nanos.stream().mapToDouble(nanos -> nanos / 1e9).sorted().toArray();
        return new StepCost(
                turn.mixer,
                length,
                rows,
                median(seconds),
                seconds[(seconds.length - 1) / 4],
                seconds[seconds.length - 1 - (seconds.length - 1) / 4],
                step.deviceBytes(),
                step.stateBytes(),
                null);
    }

    private static double median(double[] sorted) {
        return Arrays.stream(sorted, (sorted.length - 1) / 2, sorted.length / 2 + 1)
                .average()
                .orElseThrow();
    }

    private double seconds(long since) {
        return (nanoTime.getAsLong() - since) / 1e9;
    }
}
