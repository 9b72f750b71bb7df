package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.track.TrackingOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** Carries out what of a sweep is not done yet. */
public final class SweepRun {
    /** Name of the folder in a sweep's, in which each trial has one. */
    public static final String TRIALS = "trials";

    private static final long HEARTBEAT_SECONDS = 5;

    private SweepRun() {}

    /**
     * What is to be done.
     *
     * @param all trials of the sweep
     * @param selected those that may be run now
     * @param folder of the sweep
     * @param retryFailed whether trials that failed are run again
     * @param keepCheckpoints whether the checkpoint of a finished trial stays
     * @param tracking where the trials' metrics go besides the store
     */
    public record Plan(
            List<Trial> all,
            List<Trial> selected,
            Path folder,
            boolean retryFailed,
            boolean keepCheckpoints,
            TrackingOptions tracking) {

        /** Without tracking. */
        public Plan(
                List<Trial> all,
                List<Trial> selected,
                Path folder,
                boolean retryFailed,
                boolean keepCheckpoints) {
            this(all, selected, folder, retryFailed, keepCheckpoints, TrackingOptions.NONE);
        }
    }

    /**
     * Runs the selected trials that wait.
     *
     * @return how many of the selected trials have each status now
     * @throws UserException if the store cannot be used any more, for example because the disk is full; what it has is not lost
     */
    public static Map<TrialStatus, Integer> run(
            Plan plan,
            SweepStore store,
            Engine engine,
            BooleanSupplier stopRequested,
            SweepListener listener) {
        store.list(plan.all());
        var queue = new StoreQueue(store, plan, listener);
        if (plan.retryFailed()) {
            store.retryFailed();
        }
        queue.begin();
        try (var _ = new Heartbeat(store)) {
            engine.run(queue, stopRequested);
        }
        return store.counts();
    }

    /** Tells the store from time to time that this process lives. */
    private static final class Heartbeat implements AutoCloseable {
        private final CountDownLatch over = new CountDownLatch(1);
        private final Thread thread;

        Heartbeat(SweepStore store) {
            thread =
                    Thread.ofPlatform()
                            .daemon()
                            .name("panthera-heartbeat")
                            .start(() -> beat(store));
        }

        private void beat(SweepStore store) {
            try {
                while (!over.await(HEARTBEAT_SECONDS, TimeUnit.SECONDS)) {
                    try {
                        store.heartbeat();
                    } catch (UserException storeIsInTrouble) {
                        // Whoever writes a result next gets the same, and reports it.
                    }
                }
            } catch (InterruptedException end) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public void close() {
            over.countDown();
            try {
                thread.join();
            } catch (InterruptedException end) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
