package dev.panthera.sweep;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Mixers;
import dev.panthera.task.Mqar;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainResult;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;

/** Sweeps whose trials take some milliseconds. */
final class TinySweep {
    static final Mqar TASK = Mqar.of(16, 2).withVocabSize(64);

    private TinySweep() {}

    /** One trial, to be varied. */
    static Sweep one() {
        return Sweep.named("tiny")
                .from(Presets.named(Presets.DEFAULT))
                .over(TASK)
                .examples(64, 32)
                .batch(16)
                .over(Width.of(8))
                .over(Layers.of(1, new Attention.Config(1)))
                .epochs(2)
                .stopAbove(1);
    }

    /** Two mixers at two learning rates: four trials. */
    static Sweep four() {
        return one().over(
                        Layers.of(1, new Attention.Config(1)),
                        Layers.of(1, Mixers.SEQUENCE.named("base-conv")))
                .over(LearningRate.of(1e-3, 1e-2));
    }

    static SweepRun.Plan plan(Sweep sweep, Path folder) {
        List<Trial> trials = sweep.grid().trials();
        return new SweepRun.Plan(trials, trials, folder, false, false);
    }

    /** Runs what is left of a sweep on so many slots of one thread. */
    static Map<TrialStatus, Integer> run(Sweep sweep, Path folder, int slots) {
        return run(plan(sweep, folder), slots, () -> false, SweepListener.SILENT);
    }

    static Map<TrialStatus, Integer> run(
            SweepRun.Plan plan, int slots, BooleanSupplier stop, SweepListener listener) {
        try (var store = SweepStore.open(plan.folder())) {
            return SweepRun.run(plan, store, engine(slots), stop, listener);
        }
    }

    static LocalEngine engine(int slots) {
        var all = new Slot[slots];
        Arrays.fill(all, new Slot("cpu", 1));
        return new LocalEngine(List.of(all));
    }

    static List<StoredTrial> stored(Path folder) {
        try (var store = SweepStore.openForReading(folder)) {
            return store.trials();
        }
    }

    /** All that a sweep has found out, without what depends on the clock; equal numbers have equal bits. */
    static Map<String, List<Object>> results(Path folder) {
        Map<String, List<Object>> results = new TreeMap<>();
        try (var store = SweepStore.openForReading(folder)) {
            for (StoredTrial trial : store.trials()) {
                List<Object> values = new ArrayList<>();
                values.add(trial.status());
                values.add(trial.label());
                values.add(trial.test() == null ? "no test" : trial.test());
                for (EpochReport epoch : store.epochs(trial.id())) {
                    values.add(epoch.epoch());
                    values.add(epoch.trainLoss());
                    values.add(epoch.learningRate());
                    values.add(epoch.deciding());
                }
                results.put(trial.id(), values);
            }
        }
        return results;
    }

    /** A made-up result. */
    static TrialOutcome done(String id, double accuracy) {
        return new TrialOutcome(
                id,
                TrialStatus.DONE,
                "cpu",
                TrainResult.Ending.ALL_EPOCHS,
                new Evaluation(1, accuracy, 10, Map.of()),
                List.of(epoch(1, accuracy)),
                5,
                6,
                7,
                null,
                null);
    }

    static EpochReport epoch(int number, double accuracy) {
        return new EpochReport(
                number, 0.5, 1e-3, new Evaluation(2, accuracy, 10, Map.of()), 100, 0.25);
    }
}
