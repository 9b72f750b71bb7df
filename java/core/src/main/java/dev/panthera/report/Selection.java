package dev.panthera.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * The learning rate that counts for each setting. Finished trials alone take part: one that failed or has not ended is
 * absent, never an accuracy of 0.
 *
 * @param protocol the split that chose
 * @param settings in the order in which the sweep first names them; without those of {@code undecided}
 * @param undecided settings without a finished trial that has the accuracy that chooses
 * @param partial settings that were decided although some of their trials have not finished
 */
public record Selection(
        SelectionProtocol protocol,
        List<Selected> settings,
        List<Setting> undecided,
        List<Setting> partial) {

    /** Chooses by the summary's protocol; of equal learning rates the smallest. */
    public static Selection of(SweepSummary summary) {
        Map<Setting, List<ReportTrial>> groups = new LinkedHashMap<>();
        for (ReportTrial trial : summary.trials()) {
            groups.computeIfAbsent(Setting.of(trial), key -> new ArrayList<>()).add(trial);
        }
        List<Selected> chosen = new ArrayList<>();
        List<Setting> undecided = new ArrayList<>();
        List<Setting> partial = new ArrayList<>();
        groups.forEach((setting, trials) -> {
            Optional<Selected> best = best(setting, trials, summary.protocol());
            if (best.isEmpty()) {
                undecided.add(setting);
                return;
            }
            chosen.add(best.get());
            if (!trials.stream().allMatch(ReportTrial::done)) {
                partial.add(setting);
            }
        });
        return new Selection(
                summary.protocol(),
                List.copyOf(chosen),
                List.copyOf(undecided),
                List.copyOf(partial));
    }

    private static Optional<Selected> best(
            Setting setting, List<ReportTrial> trials, SelectionProtocol protocol) {
        var byRate = new TreeMap<Double, List<ReportTrial>>();
        for (ReportTrial trial : trials) {
            if (trial.done()) {
                byRate.computeIfAbsent(trial.learningRate(), key -> new ArrayList<>()).add(trial);
            }
        }
        Selected best = null;
        double bestScore = Double.NEGATIVE_INFINITY;
        for (var entry : byRate.entrySet()) {
            Selected candidate = candidate(setting, entry.getKey(), entry.getValue());
            Optional<Statistics> decides =
                    protocol == SelectionProtocol.VALIDATION
                            ? candidate.validation()
                            : candidate.test();
            double score = decides.map(Statistics::mean).orElse(Double.NEGATIVE_INFINITY);
            if (score > bestScore) {
                best = candidate;
                bestScore = score;
            }
        }
        return Optional.ofNullable(best);
    }

    private static Selected candidate(
            Setting setting, double learningRate, List<ReportTrial> trials) {
        List<ReportTrial> bySeed =
                trials.stream()
                        .sorted(
                                Comparator.comparingLong(ReportTrial::seed)
                                        .thenComparing(ReportTrial::id))
                        .toList();
        return new Selected(
                setting,
                learningRate,
                bySeed,
                statistics(bySeed, ReportTrial::validationAccuracy),
                statistics(bySeed, ReportTrial::testAccuracy));
    }

    private static Optional<Statistics> statistics(
            List<ReportTrial> trials, Function<ReportTrial, Double> value) {
        return Statistics.of(trials.stream().map(value).filter(Objects::nonNull).toList());
    }

    /** What the reader must know of settings that are not decided, or not for good; a sentence each. */
    List<String> reservations() {
        List<String> sentences = new ArrayList<>();
        if (!undecided.isEmpty()) {
            String split = protocol == SelectionProtocol.VALIDATION ? "validation" : "test";
            sentences.add(
                    "Not in the figures, for want of a finished trial with a %s accuracy: %s."
                            .formatted(split, labels(undecided)));
        }
        if (!partial.isEmpty()) {
            sentences.add(
                    "Learning rate chosen although some trials are unfinished or failed: %s."
                            .formatted(labels(partial)));
        }
        return sentences;
    }

    private static String labels(List<Setting> settings) {
        return Phrases.list(settings.stream().map(Setting::label).toList());
    }

    /** Whether a selected setting has more than one seed, so that its spread says something. */
    boolean hasSeveralSeeds() {
        return settings.stream().anyMatch(selected -> selected.trials().size() > 1);
    }
}
