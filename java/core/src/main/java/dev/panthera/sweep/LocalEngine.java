package dev.panthera.sweep;

import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import dev.panthera.train.TrainListener;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

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
                        "%d %s on %s with %s"
                                .formatted(
                                        entry.getValue(),
                                        entry.getValue() == 1
                                                ? "trial at a time"
                                                : "trials at once",
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
                queue.finished(TrialRun.run(placed, stop, new Reporter(queue, placed.id())));
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

    private record Reporter(TrialQueue queue, String id) implements TrainListener {
        @Override
        public void started(RunInfo info) {
            queue.started(id, info);
        }

        @Override
        public void stepped(StepReport report) {
            queue.stepped(id, report);
        }

        @Override
        public void epochEnded(EpochReport report) {
            queue.epochEnded(id, report);
        }
    }
}
