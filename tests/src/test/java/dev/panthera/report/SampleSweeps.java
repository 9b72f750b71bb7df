package dev.panthera.report;

import dev.panthera.sweep.TrialStatus;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Made-up sweeps whose numbers behave as those of real ones: recall is solved or not, depending on width and task. */
final class SampleSweeps {
    static final List<Double> RATES = List.of(1e-4, 4.64e-4, 2.15e-3, 1e-2);
    static final int EPOCHS = 32;

    private SampleSweeps() {}

    /** A mixer of the samples. */
    private record Kind(
            String name, double need, double bestRate, double tokensPerSecond, boolean grows) {}

    private static final List<Kind> KINDS =
            List.of(
                    new Kind("attention", 0.05, 1e-3, 210_000, true),
                    new Kind("sliding-attention", 1.6, 1e-3, 230_000, true),
                    new Kind("base-conv", 0.8, 2e-3, 170_000, true),
                    new Kind("hyena", 1.5, 2e-3, 120_000, true),
                    new Kind("based", 0.35, 1e-3, 150_000, false),
                    new Kind("rwkv7", 0.5, 5e-4, 90_000, false));

    /** A finished sweep: 6 mixers, 4 widths, 3 tasks, 4 learning rates, 3 seeds; one trial failed. */
    static SweepSummary finished() {
        List<ReportTrial> trials =
                grid(KINDS, List.of(64, 128, 256, 512), List.of(64, 128, 256), 3);
        trials.set(
                17,
                with(
                        trials.get(17),
                        TrialStatus.FAILED,
                        "training diverged: the loss is not finite at step 812; lower the learning rate"));
        return summary(trials, SelectionProtocol.VALIDATION);
    }

    /** The same sweep while it goes on: of the later trials some run, most wait. */
    static SweepSummary halfDone() {
        List<ReportTrial> trials = new ArrayList<>();
        List<ReportTrial> all = finished().trials();
        for (int index = 0; index < all.size(); index++) {
            boolean over = index * 2 < all.size();
            TrialStatus status =
                    index * 2 < all.size() + 8 ? TrialStatus.RUNNING : TrialStatus.WAITING;
            trials.add(over ? all.get(index) : with(all.get(index), status, null));
        }
        return summary(trials, SelectionProtocol.VALIDATION);
    }

    static SweepSummary summary(List<ReportTrial> trials, SelectionProtocol protocol) {
        Map<String, String> provenance = new LinkedHashMap<>();
        provenance.put("Version", "0.1.0-SNAPSHOT, commit 3a2afc8");
        provenance.put("Device", "CPU, 2 cores, AVX-512");
        provenance.put("Date", "2026-11-28");
        provenance.put("Command", "panthera run experiments/Figure2.java --scale small");
        return new SweepSummary(
                "figure2-sample",
                "Multi-query associative recall with made-up numbers: which mixers recall, at which width, with "
                        + "which state?",
                trials,
                protocol,
                provenance);
    }

    /** That many trials, all finished. */
    static SweepSummary large(int trials) {
        int seeds = Math.ceilDiv(trials, KINDS.size() * 4 * 3 * RATES.size());
        List<ReportTrial> grid =
                grid(KINDS, List.of(64, 128, 256, 512), List.of(64, 128, 256), seeds);
        return summary(grid.subList(0, trials), SelectionProtocol.VALIDATION);
    }

    /** One task as long as the published recall-memory figure's, with mixers in several sizes of state; one seed. */
    static SweepSummary statesOfOneTask() {
        return statesOfOneTask(3);
    }

    /** With that many sizes of state of all mixers but attention. */
    static SweepSummary statesOfOneTask(int variants) {
        List<ReportTrial> trials = new ArrayList<>();
        for (int width : List.of(64, 128)) {
            for (int variant = 0; variant < variants; variant++) {
                for (String mixer :
                        List.of("based", "sliding-attention", "attention", "my-mixer")) {
                    if (variant == 0 || !mixer.equals("attention")) {
                        trials.add(stateTrial(mixer, width, variant, trials.size()));
                    }
                }
            }
        }
        return summary(trials, SelectionProtocol.VALIDATION);
    }

    private static ReportTrial stateTrial(String mixer, int width, int variant, int index) {
        int size = 8 << variant;
        long state =
                mixer.equals("attention")
                        ? 8L * width * 1024
                        : 4L * (3L * width + 2L * width * size);
        double accuracy =
                mixer.equals("attention")
                        ? 1
                        : Math.clamp((Math.log(state) - 7) / 6 + 0.03 * mixer.length() - 0.2, 0, 1);
        Map<String, String> factors = new LinkedHashMap<>();
        factors.put("mixer", mixer);
        if (!mixer.equals("attention")) {
            factors.put("size", "" + size);
        }
        return new ReportTrial(
                "s" + index,
                mixer,
                width,
                1024,
                256,
                1e-3,
                0,
                factors,
                TrialStatus.DONE,
                8192L * width,
                state,
                accuracy,
                accuracy,
                Map.of(),
                List.of(),
                600 + 10 * index,
                50_000 - 900 * index,
                null,
                "{}");
    }

    private static List<ReportTrial> grid(
            List<Kind> kinds, List<Integer> widths, List<Integer> lengths, int seeds) {
        List<ReportTrial> trials = new ArrayList<>();
        for (Kind kind : kinds) {
            for (int length : lengths) {
                for (int width : widths) {
                    for (double rate : RATES) {
                        for (int seed = 0; seed < seeds; seed++) {
                            trials.add(trial(kind, width, length, rate, seed, trials.size()));
                        }
                    }
                }
            }
        }
        return trials;
    }

    private static ReportTrial trial(
            Kind kind, int width, int length, double rate, long seed, int index) {
        var random = new SplittableRandom(index * 31L + 7);
        double distance = Math.log(width / (kind.need() * length)) / Math.log(2);
        double tuned = Math.abs(Math.log10(rate / kind.bestRate()));
        double quality =
                1 / (1 + Math.exp(-1.7 * (distance - 1.2 * tuned) - 0.6 * random.nextDouble()));
        double noise = 0.03 * (random.nextDouble() - 0.5);
        double test = Math.clamp(quality + noise * (1 - quality), 0, 1);
        double validation = Math.clamp(test + 0.01 * (random.nextDouble() - 0.5), 0, 1);
        long state =
                kind.grows()
                        ? 4L * (3L * width + 2L * width * length)
                        : 4L * (3L * width + 64L * width);
        double speed = kind.tokensPerSecond() * 64 / width * (0.95 + 0.1 * random.nextDouble());
        Map<String, String> factors = new LinkedHashMap<>();
        factors.put("mixer", kind.name());
        factors.put("d_model", "" + width);
        factors.put("length", "" + length);
        factors.put("learning_rate", "" + rate);
        factors.put("seed", "" + seed);
        double seconds = 100_000.0 * length * EPOCHS / speed / 20;
        return new ReportTrial(
                "%08x".formatted(new SplittableRandom(index).nextInt()),
                kind.name(),
                width,
                length,
                length / 16,
                rate,
                seed,
                factors,
                TrialStatus.DONE,
                8192L * width + 8L * width * width,
                state,
                validation,
                test,
                slices(test, length),
                epochs(validation, speed, seconds, random),
                seconds,
                speed,
                null,
                """
                {"model": {"d_model": %d, "layers": 2, "mixer": "%s"},
                 "data": {"length": %d, "pairs": %d}, "learning_rate": %s, "seed": %d}
                """
                        .formatted(width, kind.name(), length, length / 16, rate, seed));
    }

    private static Map<String, Map<Integer, Double>> slices(double test, int length) {
        Map<Integer, Double> byDistance = new TreeMap<>();
        for (int bound = 8; bound <= length; bound *= 2) {
            double share = Math.log(bound) / Math.log(length);
            byDistance.put(bound, Math.clamp(test + (1 - test) * test * 0.8 * (0.6 - share), 0, 1));
        }
        Map<Integer, Double> byPairs = new TreeMap<>();
        for (int pairs = 2; pairs <= length / 8; pairs *= 2) {
            double excess = Math.log(pairs * 16.0 / length) / Math.log(2);
            byPairs.put(pairs, Math.clamp(test - test * (1 - test) * 0.5 * excess, 0, 1));
        }
        return Map.of(ReportTrial.BY_DISTANCE, byDistance, ReportTrial.BY_PAIRS, byPairs);
    }

    private static List<EpochPoint> epochs(
            double last, double speed, double seconds, SplittableRandom random) {
        List<EpochPoint> epochs = new ArrayList<>();
        double midway = 4 + 14 * (1 - last) + 3 * random.nextDouble();
        for (int epoch = 1; epoch <= EPOCHS; epoch++) {
            double progress = 1 / (1 + Math.exp(-(epoch - midway) / 2.0));
            double accuracy = last * (0.02 + 0.98 * progress);
            double loss = 0.02 + 9.0 * (1 - accuracy) * Math.exp(-0.02 * epoch);
            epochs.add(
                    new EpochPoint(
                            epoch, loss, loss * 1.04, accuracy, speed, seconds * epoch / EPOCHS));
        }
        return epochs;
    }

    /** Without results, since it has not ended or not well. */
    static ReportTrial with(ReportTrial trial, TrialStatus status, @Nullable String message) {
        return copy(trial, trial.mixer(), trial.pairs(), status, Map.of(), message);
    }

    static ReportTrial withPairs(ReportTrial trial, int pairs) {
        return copy(
                trial, trial.mixer(), pairs, trial.status(), trial.testSlices(), trial.message());
    }

    /** Of a sweep that also has other tasks with rows of this size. */
    static ReportTrial onTask(ReportTrial trial, String task) {
        Map<String, String> factors = new LinkedHashMap<>(trial.factors());
        factors.put("task", task);
        return new ReportTrial(
                trial.id(),
                trial.mixer(),
                trial.dModel(),
                trial.length(),
                trial.pairs(),
                trial.learningRate(),
                trial.seed(),
                factors,
                trial.status(),
                trial.parameters(),
                trial.stateBytes(),
                trial.validationAccuracy(),
                trial.testAccuracy(),
                trial.testSlices(),
                trial.epochs(),
                trial.seconds(),
                trial.tokensPerSecond(),
                trial.message(),
                "{\"data\": {\"train\": [{\"task\": {\"name\": \"%s\"}}]}}".formatted(task));
    }

    static ReportTrial withMixer(ReportTrial trial, String mixer) {
        return copy(
                trial, mixer, trial.pairs(), trial.status(), trial.testSlices(), trial.message());
    }

    static ReportTrial withSlices(ReportTrial trial, Map<String, Map<Integer, Double>> slices) {
        return copy(trial, trial.mixer(), trial.pairs(), trial.status(), slices, trial.message());
    }

    private static ReportTrial copy(
            ReportTrial trial,
            String mixer,
            int pairs,
            TrialStatus status,
            Map<String, Map<Integer, Double>> slices,
            @Nullable String message) {
        boolean done = status == TrialStatus.DONE;
        return new ReportTrial(
                trial.id(),
                mixer,
                trial.dModel(),
                trial.length(),
                pairs,
                trial.learningRate(),
                trial.seed(),
                trial.factors(),
                status,
                trial.parameters(),
                trial.stateBytes(),
                done ? trial.validationAccuracy() : null,
                done ? trial.testAccuracy() : null,
                slices,
                done ? trial.epochs() : List.of(),
                done ? trial.seconds() : 0,
                done ? trial.tokensPerSecond() : 0,
                message,
                trial.configJson());
    }
}
