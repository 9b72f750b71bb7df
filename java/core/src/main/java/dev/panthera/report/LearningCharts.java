package dev.panthera.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/** Learning curves of the selected settings, as means over the seeds. */
final class LearningCharts {
    /** Points of all curves of a chart together: beyond that, curves are thinned. */
    private static final int POINTS = 8_000;

    private static final int FEWEST_PER_CURVE = 8;
    private static final int MOST_PER_CURVE = 64;

    private LearningCharts() {}

    static Chart accuracy(ChartInput input) {
        return curves(
                input,
                "validation-accuracy-by-epoch",
                "Learning curves: validation accuracy",
                "How soon each mixer learns to recall: validation accuracy after each epoch",
                "validation accuracy",
                Axis.accuracy("validation accuracy"),
                EpochPoint::validationAccuracy);
    }

    static Chart loss(ChartInput input) {
        return curves(
                input,
                "training-loss-by-epoch",
                "Learning curves: training loss",
                "How the training loss falls: mean cross entropy of each epoch, in nats,",
                "training loss",
                Axis.linear("training loss (nats)", 5),
                EpochPoint::trainLoss);
    }

    private static Chart curves(
            ChartInput input,
            String name,
            String title,
            String reading,
            String quantity,
            ObjectNode y,
            Function<EpochPoint, @Nullable Double> value) {
        List<Selected> settings = input.shown(input.selection().settings());
        var panels = Panels.of(settings.stream().map(Selected::setting).toList());
        List<Mark> marks = new ArrayList<>();
        int perCurve = perCurve(settings.size());
        for (Selected selected : settings) {
            addCurve(marks, input, panels, selected, perCurve, value);
        }
        if (marks.isEmpty()) {
            String why = input.whyNothing();
            return Chart.leftOut(
                    name,
                    title,
                    why.isEmpty() ? "Left out: no finished trial recorded its epochs." : why);
        }
        String alternative =
                "Line chart of %s against epoch, a panel per task and width, a line per mixer. %s"
                        .formatted(quantity, Summaries.atTheRight(marks, "epoch"));
        var chart =
                new LineChart(
                        alternative,
                        panels.gridRows(),
                        panels.gridColumns(),
                        Axis.linear("epoch", 4),
                        y,
                        input.lines(),
                        marks,
                        LineChart.Spread.BAND);
        String caption =
                reading
                        + " of the selected learning rate; symbols mark some epochs to tell the lines apart."
                        + input.whichSettings()
                        + (input.selection().hasSeveralSeeds()
                                ? " Lines are means over the seeds that reached the epoch, bands run from the lowest to"
                                        + " the highest."
                                : "");
        return Chart.drawn(name, title, caption, alternative, chart.specification(), List.of());
    }

    private static int perCurve(int curves) {
        return Math.clamp(POINTS / Math.max(1, curves), FEWEST_PER_CURVE, MOST_PER_CURVE);
    }

    private static void addCurve(
            List<Mark> marks,
            ChartInput input,
            Panels panels,
            Selected selected,
            int perCurve,
            Function<EpochPoint, @Nullable Double> value) {
        var byEpoch = new TreeMap<Integer, List<Double>>();
        for (ReportTrial trial : selected.trials()) {
            for (EpochPoint point : trial.epochs()) {
                Double measured = value.apply(point);
                if (measured != null) {
                    byEpoch.computeIfAbsent(point.epoch(), key -> new ArrayList<>()).add(measured);
                }
            }
        }
        List<Integer> epochs = List.copyOf(byEpoch.keySet());
        int stride = (epochs.size() + perCurve - 1) / perCurve;
        int markerStride = Math.max(1, epochs.size() / 4);
        for (int index = 0; index < epochs.size(); index++) {
            boolean last = index == epochs.size() - 1;
            if (!last && index % stride != 0) {
                continue;
            }
            boolean marker = last || index / markerStride != (index - stride) / markerStride;
            Optional<Statistics> statistics = Statistics.of(byEpoch.get(epochs.get(index)));
            Statistics seeds = statistics.orElseThrow();
            marks.add(
                    new Mark(
                            panels.gridRow(selected.setting()),
                            panels.gridColumn(selected.setting()),
                            input.line(selected.setting()),
                            epochs.get(index),
                            seeds.mean(),
                            seeds.min(),
                            seeds.max(),
                            false,
                            marker && index > 0 || epochs.size() == 1,
                            Phrases.chosen(selected)));
        }
    }
}
