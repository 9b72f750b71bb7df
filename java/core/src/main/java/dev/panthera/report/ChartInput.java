package dev.panthera.report;

import dev.panthera.sweep.TrialStatus;
import java.util.List;

/**
 * What every chart is made of.
 *
 * @param settings of all trials, whether finished or not, so that colours stay the same while a sweep goes on
 */
record ChartInput(
        SweepSummary summary, Selection selection, List<Setting> settings, Palette palette) {

    static ChartInput of(SweepSummary summary) {
        List<Setting> settings = summary.trials().stream().map(Setting::of).distinct().toList();
        return new ChartInput(summary, Selection.of(summary), settings, Palette.of(settings));
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
