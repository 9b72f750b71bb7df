package dev.panthera.spark;

import dev.panthera.sweep.TrialOrder;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialQueue;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A queue that is always called with the class loader of the sweep as the thread's context, where it finds the mixers of the
 * experiment; Spark's threads have another.
 */
record ContextQueue(TrialQueue queue, @Nullable ClassLoader loader) implements TrialQueue {

    private <T> T in(Supplier<T> call) {
        var thread = Thread.currentThread();
        ClassLoader before = thread.getContextClassLoader();
        thread.setContextClassLoader(loader);
        try {
            return call.get();
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    private void in(Runnable call) {
        in(() -> {
            call.run();
            return true;
        });
    }

    @Override
    public Optional<TrialOrder> take() {
        return in(queue::take);
    }

    @Override
    public int waiting() {
        return in(queue::waiting);
    }

    @Override
    public void started(String id, RunInfo info) {
        in(() -> queue.started(id, info));
    }

    @Override
    public void stepped(String id, StepReport report) {
        in(() -> queue.stepped(id, report));
    }

    @Override
    public void epochEnded(String id, EpochReport report) {
        in(() -> queue.epochEnded(id, report));
    }

    @Override
    public void finished(TrialOutcome outcome) {
        in(() -> queue.finished(outcome));
    }
}
