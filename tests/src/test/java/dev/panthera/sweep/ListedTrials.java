package dev.panthera.sweep;

import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;

/** A queue of given trials that remembers what it is told. */
final class ListedTrials implements TrialQueue {
    private final Queue<TrialOrder> left;
    private final List<TrialOutcome> outcomes = new ArrayList<>();
    private final Map<String, RunInfo> started = new HashMap<>();
    private final Map<String, List<EpochReport>> epochs = new HashMap<>();

    ListedTrials(List<TrialOrder> orders) {
        left = new ArrayDeque<>(orders);
    }

    synchronized List<TrialOutcome> outcomes() {
        return List.copyOf(outcomes);
    }

    synchronized TrialOutcome outcome(String id) {
        return outcomes.stream().filter(o -> o.id().equals(id)).findFirst().orElseThrow();
    }

    synchronized Optional<RunInfo> start(String id) {
        return Optional.ofNullable(started.get(id));
    }

    synchronized List<EpochReport> epochs(String id) {
        return List.copyOf(epochs.getOrDefault(id, List.of()));
    }

    @Override
    public synchronized Optional<TrialOrder> take() {
        return Optional.ofNullable(left.poll());
    }

    @Override
    public synchronized int waiting() {
        return left.size();
    }

    @Override
    public synchronized void started(String id, RunInfo info) {
        started.put(id, info);
    }

    @Override
    public void stepped(String id, StepReport report) {}

    @Override
    public synchronized void epochEnded(String id, EpochReport report) {
        epochs.computeIfAbsent(id, key -> new ArrayList<>()).add(report);
    }

    @Override
    public synchronized void finished(TrialOutcome outcome) {
        outcomes.add(outcome);
    }
}
