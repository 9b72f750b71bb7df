package dev.panthera.spark;

import dev.panthera.sweep.TrialOrder;
import dev.panthera.sweep.TrialOutcome;
import dev.panthera.sweep.TrialQueue;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;

/** A queue that remembers what it is told. */
final class ListQueue implements TrialQueue {
    private final Queue<TrialOrder> left;
    final List<String> taken = new CopyOnWriteArrayList<>();
    final List<TrialOutcome> outcomes = new CopyOnWriteArrayList<>();
    final Map<String, List<RunInfo>> starts = new ConcurrentHashMap<>();
    final Map<String, Map<Integer, EpochReport>> epochs = new ConcurrentHashMap<>();

    ListQueue(List<TrialOrder> orders) {
        left = new ConcurrentLinkedQueue<>(orders);
    }

    @Override
    public Optional<TrialOrder> take() {
        var next = Optional.ofNullable(left.poll());
        next.ifPresent(order -> taken.add(order.id()));
        return next;
    }

    @Override
    public int waiting() {
        return left.size();
    }

    @Override
    public void started(String id, RunInfo info) {
        starts.computeIfAbsent(id, key -> new CopyOnWriteArrayList<>()).add(info);
    }

    @Override
    public void stepped(String id, StepReport report) {}

    @Override
    public void epochEnded(String id, EpochReport report) {
        epochs.computeIfAbsent(id, key -> new ConcurrentHashMap<>()).put(report.epoch(), report);
    }

    @Override
    public void finished(TrialOutcome outcome) {
        outcomes.add(outcome);
    }
}
