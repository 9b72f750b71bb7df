package dev.panthera.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/** What the finished trials cost, whatever their learning rate and seed. */
final class SpeedCharts {
    private SpeedCharts() {}

    static Chart throughput(ChartInput input) {
        return speed(
                input,
                "throughput",
                "Training throughput",
                "How fast each mixer trains: tokens per second (common logarithm)",
                "training tokens per second",
                ReportTrial::tokensPerSecond);
    }

    static Chart wallTime(ChartInput input) {
        return speed(
                input,
                "wall-time",
                "Wall time of a trial",
                "What a trial costs: seconds from its start to its end (common logarithm)",
                "seconds per trial",
                ReportTrial::seconds);
    }

    private static Chart speed(
            ChartInput input,
            String name,
            String title,
            String reading,
            String axis,
            ToDoubleFunction<ReportTrial> value) {
        Map<Setting, List<Double>> measured = new LinkedHashMap<>();
        for (ReportTrial trial : input.summary().trials()) {
            double amount = value.applyAsDouble(trial);
            if (trial.done() && amount > 0 && Double.isFinite(amount)) {
                measured.computeIfAbsent(input.group(Setting.of(trial)), key -> new ArrayList<>())
                        .add(amount);
            }
        }
        if (measured.isEmpty()) {
            String why = input.whyNothing();
            return Chart.leftOut(
                    name, title, why.isEmpty() ? "Left out: no finished trial was timed." : why);
        }
        var panels = Panels.of(measured.keySet());
        List<Mark> marks = new ArrayList<>();
        measured.forEach((setting, amounts) ->
                marks.add(
                        Mark.measured(
                                "",
                                Panels.task(setting).label(),
                                input.line(setting),
                                setting.dModel(),
                                Statistics.of(amounts).orElseThrow(),
                                Phrases.count(amounts.size(), "trial"))));
        String alternative =
                "Line chart of %s against d_model, a panel per task and a line per mixer. %s"
                        .formatted(axis, Summaries.atTheRight(marks, "d_model"));
        var chart =
                new LineChart(
                        alternative,
                        List.of(),
                        panels.taskLabels(),
                        Axis.powersOfTwo("d_model", marks.stream().map(Mark::x).toList()),
                        Axis.decades(axis, ends(marks)),
                        input.lines(),
                        marks,
                        LineChart.Spread.BARS);
        String caption =
                reading
                        + " against d_model. Points are means over all finished trials of a setting, bars run from the"
                        + " lowest to the highest; trials that ran side by side slow each other."
                        + (input.condensed()
                                ? " A mixer's settings of one width count together."
                                : "");
        return Chart.drawn(name, title, caption, alternative, chart.specification(), List.of());
    }

    /** What the axis must hold: the ends of the bars. */
    private static List<Double> ends(List<Mark> marks) {
        return marks.stream().flatMap(mark -> Stream.of(mark.low(), mark.high())).toList();
    }
}
