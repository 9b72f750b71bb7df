package dev.panthera.spark;

import dev.panthera.UserException;
import dev.panthera.sweep.TrialOrder;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialQueue;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.spark.api.java.JavaFutureAction;
import org.apache.spark.util.CollectionAccumulator;
import org.jspecify.annotations.Nullable;

/** Keeps as many trials on the cluster as it has room for, until the queue is empty or somebody wants to stop. */
final class SparkLoop {
    private static final long LOOK_MILLIS = 100;

    /** Trials see within a step that they are to end, and then write a checkpoint. */
    private static final Duration LONGEST_STOP = Duration.ofSeconds(30);

    private final SparkOptions options;
    private final Cluster cluster;
    private final TrialQueue queue;
    private final BooleanSupplier stopRequested;
    private final Map<String, RunningTrial> running = new ConcurrentHashMap<>();
    private final BlockingQueue<End> ends = new LinkedBlockingQueue<>();

    /** How a job ended: with an outcome in JSON, or without. */
    private record End(RunningTrial trial, @Nullable String outcome, @Nullable Throwable failure) {}

    SparkLoop(
            SparkOptions options,
            Cluster cluster,
            TrialQueue queue,
            BooleanSupplier stopRequested) {
        this.options = options;
        this.cluster = cluster;
        this.queue = queue;
        this.stopRequested = stopRequested;
    }

    void run() {
        cluster.listener().hear(this::told);
        try {
            boolean more = true;
            while (!stopRequested.getAsBoolean() && (more || !running.isEmpty())) {
                requireExecutors();
                more = fill();
                take(ends.poll(LOOK_MILLIS, TimeUnit.MILLISECONDS));
            }
        } catch (InterruptedException wish) {
            Thread.currentThread().interrupt();
        } finally {
            stop();
        }
    }

    private void told(String trial, long task, List<?> lines) {
        var told = running.get(trial);
        if (told != null) {
            told.tell(task, lines);
        }
    }

    /** Starts trials while there is room; returns false once there is none left to start. */
    private boolean fill() {
        while (running.size() < room() && !stopRequested.getAsBoolean()) {
            Optional<TrialOrder> next = queue.take();
            if (next.isEmpty()) {
                return false;
            }
            start(next.get());
        }
        return true;
    }

    /** One at least may wait for an executor: where they are made on demand, there is none before there is a job. */
    private int room() {
        int most = options.slots() == null ? Integer.MAX_VALUE : options.slots();
        return Math.min(most, Math.max(1, cluster.listener().capacity()));
    }

    private void start(TrialOrder order) {
        var progress = cluster.progress();
        var trial = new RunningTrial(order.id(), queue, progress);
        running.put(order.id(), trial);
        JavaFutureAction<List<String>> job = submit(order, progress);
        Thread.ofVirtual().name("trial-" + order.id()).start(() -> await(trial, job));
    }

    private JavaFutureAction<List<String>> submit(
            TrialOrder order, CollectionAccumulator<String> progress) {
        try {
            return cluster.submit(order, progress);
        } catch (IllegalStateException failure) {
            throw cluster.isStopped() ? gone(failure) : failure;
        }
    }

    private void await(RunningTrial trial, JavaFutureAction<List<String>> job) {
        try {
            ends.add(new End(trial, job.get().getFirst(), null));
        } catch (ExecutionException failure) {
            ends.add(new End(trial, null, failure.getCause()));
        } catch (InterruptedException | RuntimeException failure) {
            ends.add(new End(trial, null, failure));
        }
    }

    private void take(@Nullable End end) {
        if (end == null) {
            return;
        }
        if (end.outcome() != null) {
            end.trial().finish(TrialOutcome.fromJson(end.outcome()));
        } else if (cluster.isStopped()) {
            throw gone(end.failure());
        } else {
            Messages.requireNewJava(cluster.master(), end.failure());
            end.trial().finish(TrialOutcome.failed(end.trial().id(), Messages.lost(end.failure())));
        }
        running.remove(end.trial().id());
    }

    private UserException gone(@Nullable Throwable cause) {
        return new UserException(
                "--master %s: the cluster has ended the sweep's application (%s); run the sweep again to go on"
                        .formatted(
                                cluster.master(),
                                cause == null ? "no reason given" : Messages.firstLine(cause)),
                cause);
    }

    private void requireExecutors() {
        if (cluster.isStopped()) {
            throw gone(null);
        }
        boolean waitedLong = cluster.listener().unchangedNanos() > options.patience().toNanos();
        UserException.require(
                cluster.listener().hasExecutors() || !waitedLong,
                "--master %s: no executor for %d s; start workers with JDK 25, or free their cores and memory, and run the sweep again",
                cluster.master(),
                options.patience().toSeconds());
    }

    /** What still runs is told to end, is waited for, since it may write a checkpoint, and is given back. */
    private void stop() {
        if (running.isEmpty()) {
            return;
        }
        cluster.cancelAll();
        long limit = System.nanoTime() + LONGEST_STOP.toNanos();
        try {
            while (cluster.listener().isAnyRunning()
                    && !cluster.isStopped()
                    && System.nanoTime() < limit) {
                finishIfDone(ends.poll(LOOK_MILLIS, TimeUnit.MILLISECONDS));
            }
            for (End end = ends.poll(); end != null; end = ends.poll()) {
                finishIfDone(end);
            }
        } catch (InterruptedException wish) {
            Thread.currentThread().interrupt();
        } finally {
            cluster.listener().hear(null);
            running.values().forEach(RunningTrial::giveBack);
        }
    }

    /** A trial may have come to its end before it heard that it should. */
    private void finishIfDone(@Nullable End end) {
        if (end != null && end.outcome() != null) {
            end.trial().finish(TrialOutcome.fromJson(end.outcome()));
        }
    }
}
