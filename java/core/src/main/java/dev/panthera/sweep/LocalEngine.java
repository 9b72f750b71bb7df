package dev.panthera.sweep;

import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import dev.panthera.train.TrainListener;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Carries trials out in this process: a thread for each slot, each trial on a device of its own. */
public final class LocalEngine implements Engine {
    private final List<Slot> slots;

    /** @param slots at least one */
    public LocalEngine(List<Slot> slots) {
        if (slots.isEmpty()) {
            throw new IllegalArgumentException("no slots");
        }
        this.slots = List.copyOf(slots);
    }

    /** Its slots. */
    public List<Slot> slots() {
        return slots;
    }

    @Override
    public String description() {
        return slots.stream()
                .collect(Collectors.groupingBy(slot -> slot, Collectors.counting()))
                .entrySet()
                .stream()
                .map(entry ->
                        String.format(
                                Locale.ROOT,
                                "%d %s on %s with %s",
                                entry.getValue(),
                                entry.getValue() == 1 ? "trial at a time" : "trials at once",
                                entry.getKey().device(),
                                threads(entry.getKey())))
                .sorted()
                .collect(Collectors.joining(", "));
    }

    private static String threads(Slot slot) {
        return switch (slot.threads()) {
            case 0 -> "all threads";
            case 1 -> "one thread each";
            default -> slot.threads() + " threads each";
        };
    }

    @Override
    public void run(TrialQueue queue, BooleanSupplier stopRequested) {
        var failure = new AtomicReference<Throwable>();
        BooleanSupplier stop = () -> failure.get() != null || stopRequested.getAsBoolean();
        var loader = Thread.currentThread().getContextClassLoader();
        List<Thread> workers = new ArrayList<>();
        for (int i = 0; i < slots.size(); i++) {
            Slot slot = slots.get(i);
            var worker = new Thread(() -> work(slot, queue, stop, failure), "panthera-slot-" + i);
            worker.setContextClassLoader(loader);
            workers.add(worker);
            worker.start();
        }
        workers.forEach(LocalEngine::join);
        rethrow(failure.get());
    }

    private static void work(
            Slot slot, TrialQueue queue, BooleanSupplier stop, AtomicReference<Throwable> failure) {
        try {
            while (!stop.getAsBoolean()) {
                var order = queue.take();
                if (order.isEmpty()) {
                    return;
                }
                TrialOrder placed = order.get().on(slot.device(), slot.threads());
                var reporter = new Reporter(queue, placed.id());
                TrialOutcome outcome = TrialRun.run(placed, stop, reporter);
                reporter.rethrow();
                queue.finished(outcome);
            }
        } catch (RuntimeException | Error broken) {
            failure.compareAndSet(null, broken);
        }
    }

    /** A worker ends soon after it is asked to; an interrupt of this thread is such a request, and is passed on. */
    private static void join(Thread worker) {
        boolean interrupted = false;
        while (true) {
            try {
                worker.join();
                break;
            } catch (InterruptedException again) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static void rethrow(Throwable failure) {
        switch (failure) {
            case null -> {}
            case RuntimeException exception -> throw exception;
            case Error error -> throw error;
            default -> throw new IllegalStateException(failure);
        }
    }

    /** Tells the queue; keeps what goes wrong there, which is no failure of the trial. */
    private static final class Reporter implements TrainListener {
        private final TrialQueue queue;
        private final String id;
        private @Nullable RuntimeException trouble;

        Reporter(TrialQueue queue, String id) {
            this.queue = queue;
            this.id = id;
        }

        @Override
        public void started(RunInfo info) {
            tell(() -> queue.started(id, info));
        }

        @Override
        public void stepped(StepReport report) {
            tell(() -> queue.stepped(id, report));
        }

        @Override
        public void epochEnded(EpochReport report) {
            tell(() -> queue.epochEnded(id, report));
        }

        private void tell(Runnable news) {
            try {
                news.run();
            } catch (RuntimeException failure) {
                trouble = failure;
                throw failure;
            }
        }

        void rethrow() {
            if (trouble != null) {
                throw trouble;
            }
        }
    }
}
