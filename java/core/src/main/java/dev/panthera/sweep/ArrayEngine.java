package dev.panthera.sweep;

import dev.panthera.UserException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;

/**
 * Carries trials out as elements of job arrays: writes an order for each, submits them, and collects what they write, on a
 * file system that all machines see. An element that ends without an outcome is submitted again, and goes on from the
 * trial's checkpoint.
 */
final class ArrayEngine {
    /** More elements than this are submitted one array after the other: schedulers limit an array's size. */
    static final int MOST_ELEMENTS = 1000;

    /** How often a trial is submitted again that ended without an outcome and without a further epoch. */
    static final int MOST_RESUBMISSIONS = 2;

    private final TrialFolder files;
    private final ArrayJobs jobs;
    private final UnaryOperator<TrialOrder> placement;
    private final Duration poll;
    private final Duration grace;

    /**
     * @param placement gives an order the device and threads of the cluster
     * @param poll time between two looks at the scheduler and the files
     * @param grace how long after an element's end its outcome may still appear, as on network file systems
     */
    ArrayEngine(
            TrialFolder files,
            ArrayJobs jobs,
            UnaryOperator<TrialOrder> placement,
            Duration poll,
            Duration grace) {
        this.files = files;
        this.jobs = jobs;
        this.placement = placement;
        this.poll = poll;
        this.grace = grace;
    }

    /** See {@link Engine#run}. */
    void run(TrialQueue queue, BooleanSupplier stopRequested) {
        jobs.cancel();
        awaitEnd();
        jobs.forget();
        boolean more = true;
        while (more && !stopRequested.getAsBoolean()) {
            more = new Wave(queue, stopRequested).run();
        }
        jobs.forget();
    }

    /** Waits until no element is left, within bounds: a scheduler ends what it was asked to end, or kills it. */
    private void awaitEnd() {
        long limit = System.nanoTime() + Duration.ofSeconds(90).toNanos();
        while (System.nanoTime() < limit && !jobs.alive().map(Set::isEmpty).orElse(false)) {
            pause();
        }
    }

    private void pause() {
        try {
            Thread.sleep(poll);
        } catch (InterruptedException wish) {
            Thread.currentThread().interrupt();
            throw new UserException(
                    "the sweep was interrupted while its jobs ran; run it again to go on", wish);
        }
    }

    /** A trial of which nobody knows the outcome yet. */
    private static final class Open {
        private final TrialOrder order;
        private int told;
        private int resubmissions;
        private long endedAt;

        Open(TrialOrder order) {
            this.order = order;
        }

        String id() {
            return order.id();
        }
    }

    /** As many trials as fit an array. */
    private final class Wave {
        private final TrialQueue queue;
        private final BooleanSupplier stopRequested;
        private final Map<Integer, Open> open = new TreeMap<>();

        Wave(TrialQueue queue, BooleanSupplier stopRequested) {
            this.queue = queue;
            this.stopRequested = stopRequested;
        }

        /** Returns whether it had any trial. */
        boolean run() {
            try {
                if (!take()) {
                    return false;
                }
                if (!open.isEmpty()) {
                    jobs.submit(List.copyOf(open.keySet()));
                }
                while (!open.isEmpty() && !stopRequested.getAsBoolean()) {
                    look();
                    if (!open.isEmpty()) {
                        pause();
                    }
                }
                if (!open.isEmpty()) {
                    stop();
                }
                return true;
            } finally {
                giveBack();
            }
        }

        /** Trials that a job has finished since an earlier process asked for them need no other. */
        private boolean take() {
            int taken = 0;
            while (taken < MOST_ELEMENTS && !stopRequested.getAsBoolean()) {
                Optional<TrialOrder> next = queue.take();
                if (next.isEmpty()) {
                    break;
                }
                int index = taken++;
                var trial = new Open(placement.apply(next.get()));
                open.put(index, trial);
                var earlier = files.outcome(trial.id()).filter(o -> o.status() == TrialStatus.DONE);
                if (earlier.isPresent()) {
                    finish(index, trial, earlier.get());
                } else {
                    files.write(index, trial.order);
                }
            }
            return taken > 0;
        }

        private void look() {
            Optional<Set<Integer>> alive = jobs.alive();
            List<Integer> again = new ArrayList<>();
            for (var entry : List.copyOf(open.entrySet())) {
                int index = entry.getKey();
                Open trial = entry.getValue();
                tellProgress(trial);
                Optional<TrialOutcome> outcome = files.outcome(trial.id());
                if (outcome.isPresent() && outcome.get().status() != TrialStatus.WAITING) {
                    finish(index, trial, outcome.get());
                } else if (alive.isPresent() && hasEnded(trial, index, alive.get(), outcome)) {
                    if (mayTryAgain(trial)) {
                        again.add(index);
                    } else {
                        finish(index, trial, lost(trial, index));
                    }
                }
            }
            if (!again.isEmpty()) {
                again.forEach(index -> files.forget(open.get(index).id()));
                jobs.submit(again);
            }
        }

        private boolean hasEnded(
                Open trial, int index, Set<Integer> alive, Optional<TrialOutcome> outcome) {
            long now = System.nanoTime();
            if (alive.contains(index)) {
                trial.endedAt = 0;
                return false;
            }
            if (trial.endedAt == 0) {
                trial.endedAt = now;
            }
            return outcome.isPresent() || now - trial.endedAt >= grace.toNanos();
        }

        /** A limit of time that ends a long trial again and again does no harm as long as it gets on. */
        private boolean mayTryAgain(Open trial) {
            if (files.progress(trial.id()).stream().anyMatch(line -> line.epoch() != null)) {
                trial.resubmissions = 0;
            }
            trial.told = 0;
            trial.endedAt = 0;
            return trial.resubmissions++ < MOST_RESUBMISSIONS;
        }

        private TrialOutcome lost(Open trial, int index) {
            return TrialOutcome.failed(
                    trial.id(),
                    new UserException(
                            "its job ended %d times without an outcome; see what it printed: %s"
                                    .formatted(MOST_RESUBMISSIONS + 1, jobs.log(index))));
        }

        private void tellProgress(Open trial) {
            List<ProgressLine> lines = files.progress(trial.id());
            lines.stream().skip(trial.told).forEach(line -> line.tell(queue, trial.id()));
            trial.told = Math.max(trial.told, lines.size());
        }

        private void finish(int index, Open trial, TrialOutcome outcome) {
            tellProgress(trial);
            open.remove(index);
            queue.finished(outcome);
        }

        /** Jobs that write a checkpoint on their way out are waited for. */
        private void stop() {
            jobs.cancel();
            awaitEnd();
            for (var entry : List.copyOf(open.entrySet())) {
                files.outcome(entry.getValue().id())
                        .ifPresent(o -> finish(entry.getKey(), entry.getValue(), o));
            }
        }

        private void giveBack() {
            open.values().forEach(trial -> queue.finished(TrialOutcome.waiting(trial.id())));
            open.clear();
        }
    }
}
