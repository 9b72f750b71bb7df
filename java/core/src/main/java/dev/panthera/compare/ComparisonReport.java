package dev.panthera.compare;

import dev.panthera.io.AtomicFile;
import dev.panthera.report.Chart;
import dev.panthera.report.CurveChart;
import dev.panthera.report.CurveChart.Curve;
import dev.panthera.report.CurveChart.Division;
import dev.panthera.report.CurveChart.Point;
import dev.panthera.report.CurveChart.Scale;
import dev.panthera.report.FigurePage;
import dev.panthera.report.Report;
import dev.panthera.train.ConfigFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;

/** A comparison as a page of figures. */
public final class ComparisonReport {
    /** Name of the page's file. */
    public static final String PAGE = "compare.html";

    /** Name of the file with the objects of {@link ComparisonLines}. */
    public static final String LINES = "compare.jsonl";

    private static final double MIB = 1 << 20;

    private static final String UNTIMED = "Left out: no training steps were timed.";

    private ComparisonReport() {}

    /**
     * Writes the page, its charts and the numbers.
     *
     * @param folder created if missing
     * @param images whether the charts are drawn as SVG and PNG too, which takes some seconds
     * @throws dev.panthera.UserException if the folder cannot be written
     */
    public static Report.Written write(MixerComparison comparison, Path folder, boolean images) {
        var written = page(comparison).write(PAGE, folder, new Report.Options(images));
        AtomicFile.write(
                folder.resolve(LINES),
                ComparisonLines.of(comparison).stream()
                        .map(ConfigFile::toJsonLine)
                        .collect(Collectors.joining("\n", "", "\n")));
        return written;
    }

    /** The page. */
    static FigurePage page(MixerComparison comparison) {
        List<FigurePage.Table> further = new ArrayList<>();
        if (!comparison.lengths().isEmpty()) {
            var steps = ComparisonTable.steps(comparison);
            further.add(
                    new FigurePage.Table(
                            "steps",
                            "Training steps by length",
                            "Median of several steps and its quartiles; memory is what the device gave out, without the JVM; state is per row, counted as published.",
                            steps.columns(),
                            steps.rows()));
        }
        List<String> notices = new ArrayList<>(comparison.notes());
        comparison.failures().forEach(failure -> notices.add("Failed: " + failure));
        var results = ComparisonTable.of(comparison);
        return new FigurePage(
                "Comparison of mixers",
                String.join(", ", comparison.mixers()) + " on " + comparison.task(),
                lead(comparison),
                notices,
                comparison.settings(),
                new FigurePage.Table(
                        "results",
                        "Recall, state and cost",
                        "Test accuracy with the learning rate that did best on the split that decides, best first; state after a row of the task, counted as published; speed and memory of training steps at length L.",
                        results.columns(),
                        results.rows()),
                charts(comparison),
                further);
    }

    /** What came out, in a sentence. */
    private static String lead(MixerComparison comparison) {
        List<String> clauses =
                comparison.results().stream()
                        .filter(result -> result.testAccuracy() != null)
                        .map(result ->
                                "%s answers %s of the queries with %s of state"
                                        .formatted(
                                                result.mixer(),
                                                Amounts.percent(result.testAccuracy()),
                                                Amounts.bytes(result.stateBytes())))
                        .toList();
        return clauses.isEmpty() ? "No mixer could be trained." : String.join("; ", clauses) + ".";
    }

    /** The charts, in the order of the page. */
    static List<Chart> charts(MixerComparison comparison) {
        return List.of(
                recall(comparison),
                steps(
                        comparison,
                        new Words(
                                "tokens-per-second",
                                "Training throughput",
                                "training tokens per second",
                                "How fast each mixer trains as rows get longer, at the same number of tokens per batch: tokens per second"
                                        + " (common logarithm) against the length of a row (binary logarithm). Bars span the quartiles."),
                        Division.DECADES,
                        cost ->
                                new Point(
                                        cost.length(),
                                        cost.tokensPerSecond(),
                                        tokens(cost) / cost.highSeconds(),
                                        tokens(cost) / cost.lowSeconds(),
                                        cost.rows() + " rows")),
                steps(
                        comparison,
                        new Words(
                                "time-per-row",
                                "Training time of a row",
                                "milliseconds per row",
                                "What a row costs in training: milliseconds of a step divided by its rows (common logarithm) against the"
                                        + " length of a row (binary logarithm). Work that is linear in the length doubles from one point to"
                                        + " the next, quadratic work quadruples. Bars span the quartiles."),
                        Division.DECADES,
                        cost ->
                                new Point(
                                        cost.length(),
                                        perRow(cost, cost.medianSeconds()),
                                        perRow(cost, cost.lowSeconds()),
                                        perRow(cost, cost.highSeconds()),
                                        "step of " + Amounts.milliseconds(cost.medianSeconds()))),
                steps(
                        comparison,
                        new Words(
                                "memory-by-length",
                                "Memory of training",
                                "device memory in MiB",
                                "What training needs at the same number of tokens per batch: parameters, gradients, optimizer and the"
                                        + " step's own memory, which comes in blocks of 8 MiB or more, without the JVM, against the length of a"
                                        + " row (binary logarithm)."),
                        Division.LINEAR,
                        cost ->
                                Point.of(
                                        cost.length(),
                                        cost.deviceBytes() / MIB,
                                        Amounts.bytes(cost.deviceBytes()))),
                steps(
                        comparison,
                        new Words(
                                "state-by-length",
                                "State by length",
                                "state per row",
                                "State of a row after so many tokens, counted as published (both binary logarithms)."),
                        Division.BYTES,
                        cost ->
                                Point.of(
                                        cost.length(),
                                        cost.stateBytes(),
                                        Amounts.bytes(cost.stateBytes()))));
    }

    private static double tokens(StepCost cost) {
        return cost.rows() * (double) cost.length();
    }

    private static double perRow(StepCost cost, double seconds) {
        return 1e3 * seconds / cost.rows();
    }

    private static Chart recall(MixerComparison comparison) {
        List<Curve> curves =
                comparison.results().stream()
                        .filter(result -> result.testAccuracy() != null && result.stateBytes() > 0)
                        .map(result ->
                                new Curve(
                                        result.mixer(),
                                        List.of(
                                                Point.of(
                                                        result.stateBytes(),
                                                        result.testAccuracy(),
                                                        "learning rate "
                                                                + Amounts.rate(
                                                                        result.learningRate())))))
                        .toList();
        return new CurveChart(
                        "recall-against-state",
                        "Recall against state",
                        comparison.task(),
                        "How much each mixer recalls for what it keeps: test accuracy against the bytes of state per row, counted"
                                + " as published (binary logarithm). Up and to the left is better.",
                        new Scale("state per row", Division.BYTES),
                        new Scale("test accuracy", Division.ACCURACY),
                        curves)
                .chart("Left out: no mixer with a state could be trained.");
    }

    /** What a chart of steps says of itself. */
    private record Words(String name, String title, String axis, String caption) {}

    private static Chart steps(
            MixerComparison comparison,
            Words words,
            Division division,
            Function<StepCost, Point> point) {
        List<Curve> curves =
                comparison.mixers().stream()
                        .map(mixer ->
                                new Curve(
                                        mixer,
                                        comparison.lengths().stream()
                                                .flatMap(length ->
                                                        comparison.cost(mixer, length).stream())
                                                .map(point)
                                                .toList()))
                        .toList();
        return new CurveChart(
                        words.name(),
                        words.title(),
                        comparison.settings().getOrDefault("models", ""),
                        words.caption(),
                        new Scale("length of a row", Division.POWERS_OF_TWO),
                        new Scale(words.axis(), division),
                        curves)
                .chart(UNTIMED);
    }
}
