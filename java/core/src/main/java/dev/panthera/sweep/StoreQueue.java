package dev.panthera.sweep;

import dev.panthera.train.Checkpoint;
import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The trials of a store as an engine sees them; tells a listener what happens. */
final class StoreQueue implements TrialQueue {
    private final SweepStore store;
    private final Map<String, Trial> trials;
    private final Path folder;
    private final SweepRun.Plan plan;
    private final SweepListener listener;

    StoreQueue(SweepStore store, SweepRun.Plan plan, SweepListener listener) {
        this.store = store;
        this.plan = plan;
        this.listener = listener;
        folder = plan.folder().toAbsolutePath().resolve(SweepRun.TRIALS);
        trials = plan.selected().stream().collect(Collectors.toMap(Trial::id, Function.identity()));
        store.select(trials.keySet());
    }

    /** Tells the listener what is to be done. */
    void begin() {
        List<String> waiting = store.waitingIds();
        double work =
                waiting.stream().mapToDouble(id -> CostModel.work(trials.get(id).config())).sum();
        listener.left(waiting.size(), work);
    }

    @Override
    public Optional<TrialOrder> take() {
        return store.take()
                .map(id -> {
                    Trial trial = trials.get(id);
                    listener.taken(trial);
                    String place = folder.resolve(id).toString();
                    return new TrialOrder(
                            id, trial.label(), trial.config(), "cpu", 1, place, plan.tracking());
                });
    }

    @Override
    public int waiting() {
        return store.counts().get(TrialStatus.WAITING);
    }

    @Override
    public void started(String id, RunInfo info) {
        store.started(id, info.parameters(), info.stateBytes(), info.device());
        listener.started(trials.get(id), info);
    }

    @Override
    public void stepped(String id, StepReport report) {
        listener.stepped(trials.get(id), report);
    }

    @Override
    public void epochEnded(String id, EpochReport report) {
        store.epochEnded(id, report);
        listener.epochEnded(trials.get(id), report);
    }

    @Override
    public void finished(TrialOutcome outcome) {
        boolean ours = store.finished(outcome);
        if (ours && outcome.status() == TrialStatus.DONE && !plan.keepCheckpoints()) {
            dropCheckpoint(outcome.id());
        }
        listener.finished(trials.get(outcome.id()), outcome, ours);
    }

    private void dropCheckpoint(String id) {
        try {
            Files.deleteIfExists(folder.resolve(id).resolve(Checkpoint.FILE));
        } catch (IOException stays) {
            // It takes space, and does no other harm.
        }
    }
}
