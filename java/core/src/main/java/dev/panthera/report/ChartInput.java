package dev.panthera.report;

import dev.panthera.sweep.TrialStatus;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * What every chart is made of.
 *
 * @param settings of all trials, whether finished or not, so that colours stay the same while a sweep goes on
 */
record ChartInput(
        SweepSummary summary, Selection selection, List<Setting> settings, Palette palette) {
    private static final int MOST_LINES = 20;

    static ChartInput of(SweepSummary summary) {
        List<Setting> settings = summary.trials().stream().map(Setting::of).distinct().toList();
        return new ChartInput(summary, Selection.of(summary), settings, Palette.of(settings));
    }

    /** Whether there are more lines than a reader can tell apart: then charts have a line for each mixer, of its best settings. */
    boolean condensed() {
        return palette.lines().size() > MOST_LINES;
    }

    /** The line that a setting belongs to. */
    Series line(Setting setting) {
        return condensed() ? palette.mixer(setting.mixer()) : palette.line(setting);
    }

    /** All lines, in the order of legends. */
    List<Series> lines() {
        return condensed() ? palette.mixers() : palette.lines();
    }

    /** All of these, or if there are too many the best of each mixer, width and task. */
    List<Selected> shown(List<Selected> settings) {
        return condensed() ? bestOfEach(settings, selected -> group(selected.setting())) : settings;
    }

    /** The setting itself, or if there are too many what all settings of its mixer, width and task have in common. */
    Setting group(Setting setting) {
        return condensed() ? setting.withoutVariants() : setting;
    }

    /** Of those with one key the best by the split that chooses, the first of equal ones. */
    <K> List<Selected> bestOfEach(List<Selected> settings, Function<Selected, K> key) {
        Map<K, Selected> best = new LinkedHashMap<>();
        for (Selected selected : settings) {
            best.merge(
                    key.apply(selected),
                    selected,
                    (first, second) -> score(second) > score(first) ? second : first);
        }
        return List.copyOf(best.values());
    }

    private double score(Selected selected) {
        return (selection.protocol() == SelectionProtocol.VALIDATION
                        ? selected.validation()
                        : selected.test())
                .orElseThrow()
                .mean();
    }

    /** For a caption. */
    String whichSettings() {
        return condensed() ? " Of a mixer's settings of one width the best is shown." : "";
    }

    /** Why a chart of finished trials has nothing to draw, if that is so for all of them; else an empty text. */
    String whyNothing() {
        if (summary.trials().isEmpty()) {
            return "Left out: the sweep has no trials.";
        }
        if (summary.count(TrialStatus.DONE) == 0) {
            return "Left out: no trial has finished.";
        }
        return "";
    }

    /** The selected settings with a test accuracy. */
    List<Selected> tested() {
        return selection.settings().stream()
                .filter(selected -> selected.test().isPresent())
                .toList();
    }
}
