package dev.panthera.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Test accuracy by slice of the test data. */
final class SliceCharts {
    private SliceCharts() {}

    static Chart byDistance(ChartInput input) {
        return slices(
                input,
                ReportTrial.BY_DISTANCE,
                "accuracy-by-distance",
                "Recall against distance",
                "How far back each mixer recalls: test accuracy against the distance in tokens between a query and its"
                        + " key (binary logarithm; a point stands at the upper end of its bucket)",
                "tokens between query and key",
                "distance between query and key");
    }

    static Chart byPairs(ChartInput input) {
        return slices(
                input,
                ReportTrial.BY_PAIRS,
                "accuracy-by-pairs",
                "Recall against number of pairs",
                "How many pairs each mixer holds: test accuracy against the number of key-value pairs in a row (binary"
                        + " logarithm)",
                "key-value pairs",
                "number of key-value pairs");
    }

    private static Chart slices(
            ChartInput input,
            String slice,
            String name,
            String title,
            String reading,
            String axis,
            String quantity) {
        List<Selected> settings =
                input.shown(
                        input.selection().settings().stream()
                                .filter(selected -> perValue(selected, slice).size() > 1)
                                .toList());
        if (settings.isEmpty()) {
            String why = input.whyNothing();
            return Chart.leftOut(
                    name,
                    title,
                    why.isEmpty()
                            ? "Left out: no selected trial was tested at more than one "
                                    + quantity
                                    + "."
                            : why);
        }
        var panels = Panels.of(settings.stream().map(Selected::setting).toList());
        List<Mark> marks = new ArrayList<>();
        for (Selected selected : settings) {
            perValue(selected, slice)
                    .forEach((value, seeds) ->
                            marks.add(mark(input, panels, selected, value, seeds)));
        }
        String alternative =
                "Line chart of test accuracy against the %s, a panel per task and width, a line per mixer. %s"
                        .formatted(quantity, Summaries.atTheRight(marks, axis));
        var chart =
                new LineChart(
                        alternative,
                        panels.gridRows(),
                        panels.gridColumns(),
                        Axis.powersOfTwo(axis, marks.stream().map(Mark::x).toList()),
                        Axis.accuracy("test accuracy"),
                        input.lines(),
                        marks,
                        LineChart.Spread.BARS);
        String caption =
                reading
                        + "."
                        + input.whichSettings()
                        + Phrases.bars(input.selection().hasSeveralSeeds());
        return Chart.drawn(name, title, caption, alternative, chart.specification(), List.of());
    }

    private static Mark mark(
            ChartInput input, Panels panels, Selected selected, int value, List<Double> seeds) {
        return Mark.measured(
                panels.gridRow(selected.setting()),
                panels.gridColumn(selected.setting()),
                input.line(selected.setting()),
                value,
                Statistics.of(seeds).orElseThrow(),
                Phrases.chosen(selected));
    }

    private static Map<Integer, List<Double>> perValue(Selected selected, String slice) {
        Map<Integer, List<Double>> values = new TreeMap<>();
        for (ReportTrial trial : selected.trials()) {
            trial.testSlices()
                    .getOrDefault(slice, Map.of())
                    .forEach((value, accuracy) -> {
                        if (value > 0 && Double.isFinite(accuracy)) {
                            values.computeIfAbsent(value, key -> new ArrayList<>()).add(accuracy);
                        }
                    });
        }
        return values;
    }
}
