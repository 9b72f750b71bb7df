package dev.panthera.compare;

import dev.panthera.sweep.Engine;
import dev.panthera.sweep.StoredTrial;
import dev.panthera.sweep.SweepListener;
import dev.panthera.sweep.SweepRun;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.Trial;
import dev.panthera.sweep.TrialStatus;
import dev.panthera.track.TrackingOptions;
import dev.panthera.train.DeviceChoice;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** Carries a comparison out: accuracies by a sweep that goes on where it was stopped, then the cost of steps. */
public final class ComparisonRun {
    private ComparisonRun() {}

    /**
     * What training steps cost.
     *
     * @param costs by length, at each in the order of the plan's mixers
     * @param notes what was left out, a sentence each
     */
    public record Costs(List<StepCost> costs, List<String> notes) {
        public Costs {
            costs = List.copyOf(costs);
            notes = List.copyOf(notes);
        }
    }

    /**
     * Trains what of the plan's sweep is not done yet.
     *
     * @param store of the folder
     * @param retryFailed whether trials that failed are run again
     * @return a result for each mixer; empty if it was stopped before the end, or another process has trials of it under way
     * @throws dev.panthera.UserException if a configuration is impossible, or the store cannot be used
     */
    public static Optional<List<MixerResult>> train(
            ComparisonPlan plan,
            Path folder,
            SweepStore store,
            boolean retryFailed,
            Engine engine,
            BooleanSupplier stopRequested,
            SweepListener listener) {
        List<Trial> trials = plan.sweep().grid().trials();
        var sweepPlan =
                new SweepRun.Plan(trials, trials, folder, retryFailed, false, TrackingOptions.NONE);
        var counts = SweepRun.run(sweepPlan, store, engine, stopRequested, listener);
        if (counts.get(TrialStatus.WAITING) + counts.get(TrialStatus.RUNNING) > 0) {
            return Optional.empty();
        }
        return Optional.of(results(plan, trials, store.trials()));
    }

    /**
     * Times training steps at the plan's lengths.
     *
     * @param limitSeconds no length is begun that would probably end later
     * @param listener hears of each length
     */
    public static Costs time(
            ComparisonPlan plan,
            DeviceChoice device,
            double limitSeconds,
            BooleanSupplier stopRequested,
            Consumer<List<StepCost>> listener) {
        var timer = new StepTimer(TimedStep.on(device), System::nanoTime, stopRequested);
        var timed = timer.time(plan, limitSeconds, listener);
        List<String> notes = new ArrayList<>();
        if (!timed.leftOut().isEmpty()) {
            notes.add(
                    "Steps at length %s were not timed, since that would have taken more than %.0f seconds; --max-length %d times them."
                            .formatted(
                                    timed.leftOut().stream()
                                            .map(String::valueOf)
                                            .collect(Collectors.joining(", ")),
                                    limitSeconds,
                                    timed.leftOut().getLast()));
        }
        return new Costs(timed.costs(), notes);
    }

    /**
     * What both parts came to.
     *
     * @param provenance version, device and the like: a text by label, after those that the plan has
     */
    public static MixerComparison comparison(
            ComparisonPlan plan,
            List<MixerResult> results,
            Costs costs,
            Map<String, String> provenance) {
        Map<String, String> settings = new LinkedHashMap<>(plan.settings());
        settings.putAll(provenance);
        return new MixerComparison(plan.task(), results, costs.costs(), costs.notes(), settings);
    }

    static List<MixerResult> results(
            ComparisonPlan plan, List<Trial> trials, List<StoredTrial> stored) {
        Map<String, StoredTrial> byId = new HashMap<>();
        stored.forEach(trial -> byId.put(trial.id(), trial));
        List<MixerResult> results = new ArrayList<>();
        for (String mixer : plan.mixers().keySet()) {
            results.add(
                    result(
                            mixer,
                            trials.stream()
                                    .filter(trial -> mixer.equals(trial.factors().get("mixer")))
                                    .toList(),
                            byId));
        }
        return results;
    }

    private static MixerResult result(
            String mixer, List<Trial> trials, Map<String, StoredTrial> byId) {
        List<String> failures =
                trials.stream()
                        .filter(trial -> byId.get(trial.id()).status() == TrialStatus.FAILED)
                        .map(trial ->
                                "learning rate %s: %s"
                                        .formatted(
                                                trial.factors().get("lr"),
                                                byId.get(trial.id()).message()))
                        .toList();
        Optional<Trial> best =
                trials.stream()
                        .filter(trial -> byId.get(trial.id()).test() != null)
                        .max(
                                Comparator.<Trial>comparingDouble(
                                                trial -> deciding(byId.get(trial.id())))
                                        .thenComparing(
                                                trial -> trial.config().learningRate(),
                                                Comparator.reverseOrder()));
        if (best.isEmpty()) {
            return new MixerResult(mixer, null, null, 0, 0, 0, 0, 0, failures);
        }
        StoredTrial chosen = byId.get(best.get().id());
        return new MixerResult(
                mixer,
                chosen.test().accuracy(),
                chosen.validationAccuracy(),
                best.get().config().learningRate(),
                chosen.epochs(),
                chosen.parameters(),
                chosen.stateBytes(),
                chosen.seconds(),
                failures);
    }

    private static double deciding(StoredTrial trial) {
        return trial.validationAccuracy() == null
                ? Double.NEGATIVE_INFINITY
                : trial.validationAccuracy();
    }
}
