package dev.panthera.report;

import java.util.ArrayList;
import java.util.List;

/** All charts of a sweep, in the order of the report. */
public final class Charts {
    private Charts() {}

    /** The charts; one without data has no specification and says why. */
    public static List<Chart> of(SweepSummary summary) {
        var input = ChartInput.of(summary);
        List<Chart> charts = new ArrayList<>();
        charts.add(AccuracyCharts.byWidth(input));
        charts.add(AccuracyCharts.byState(input));
        charts.add(LearningCharts.accuracy(input));
        charts.add(LearningCharts.loss(input));
        charts.add(SliceCharts.byDistance(input));
        charts.add(SliceCharts.byPairs(input));
        charts.add(SpeedCharts.throughput(input));
        charts.add(SpeedCharts.wallTime(input));
        return List.copyOf(charts);
    }
}
