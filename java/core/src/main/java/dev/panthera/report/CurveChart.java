package dev.panthera.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/**
 * A chart of one panel with a curve per mixer, in the look of the report: what other packages draw.
 *
 * @param name of the chart's files
 * @param title above the chart, and above its panel in short
 * @param panel what the panel says of itself
 * @param caption what is read off it, and what the marks mean
 * @param x of the points
 * @param y of the points
 * @param curves one per mixer
 */
public record CurveChart(
        String name,
        String title,
        String panel,
        String caption,
        Scale x,
        Scale y,
        List<Curve> curves) {
    private static final int TICKS = 6;

    public CurveChart {
        curves = List.copyOf(curves);
    }

    /** How an axis is divided. */
    public enum Division {
        /** From 0 to 1. */
        ACCURACY,
        /** Binary logarithm of a number of bytes. */
        BYTES,
        /** Binary logarithm, with ticks at the values. */
        POWERS_OF_TWO,
        /** Common logarithm. */
        DECADES,
        /** Linear from 0. */
        LINEAR
    }

    /**
     * An axis.
     *
     * @param title with the unit
     */
    public record Scale(String title, Division division) {}

    /**
     * The points of a mixer.
     *
     * @param mixer what a person calls it; decides about the look
     */
    public record Curve(String mixer, List<Point> points) {
        public Curve {
            points = List.copyOf(points);
        }
    }

    /**
     * A measured point.
     *
     * @param low least of what was measured at x; y itself for a single value
     * @param high most of what was measured at x
     * @param detail what a tooltip adds
     */
    public record Point(double x, double y, double low, double high, String detail) {

        /** A single value. */
        public static Point of(double x, double y, String detail) {
            return new Point(x, y, y, y, detail);
        }
    }

    /**
     * The chart; without points it has no specification and says why.
     *
     * @param reason why there may be no points, a sentence
     */
    public Chart chart(String reason) {
        if (curves.stream().allMatch(curve -> curve.points().isEmpty())) {
            return Chart.leftOut(name, title, reason);
        }
        Map<String, Series> looks = looks();
        List<Mark> marks = new ArrayList<>();
        for (Curve curve : curves) {
            for (Point point : curve.points()) {
                marks.add(
                        new Mark(
                                "",
                                panel,
                                looks.get(curve.mixer()),
                                point.x(),
                                point.y(),
                                point.low(),
                                point.high(),
                                false,
                                true,
                                point.detail()));
            }
        }
        String alternative = alternative();
        var chart =
                new LineChart(
                        alternative,
                        List.of(),
                        List.of(panel),
                        axis(x, marks.stream().map(Mark::x).toList()),
                        axis(
                                y,
                                marks.stream()
                                        .flatMap(mark -> Stream.of(mark.low(), mark.high()))
                                        .toList()),
                        Palette.of(settings()).mixers(),
                        marks,
                        LineChart.Spread.BARS);
        return Chart.drawn(name, title, caption, alternative, chart.specification(), List.of());
    }

    private List<Setting> settings() {
        return curves.stream().map(curve -> new Setting(curve.mixer(), 0, 0, 0, Map.of())).toList();
    }

    private Map<String, Series> looks() {
        var palette = Palette.of(settings());
        Map<String, Series> looks = new HashMap<>();
        curves.forEach(curve -> looks.put(curve.mixer(), palette.mixer(curve.mixer())));
        return looks;
    }

    private static ObjectNode axis(Scale scale, List<Double> values) {
        return switch (scale.division()) {
            case ACCURACY -> Axis.accuracy(scale.title());
            case BYTES -> Axis.bytes(scale.title(), values);
            case POWERS_OF_TWO -> Axis.powersOfTwo(scale.title(), values);
            case DECADES -> Axis.decades(scale.title(), values);
            case LINEAR -> Axis.linear(scale.title(), TICKS);
        };
    }

    private String alternative() {
        String ends =
                curves.stream()
                        .flatMap(curve -> last(curve).stream())
                        .collect(Collectors.joining("; "));
        return "Chart of %s against %s, a line per mixer. Rightmost values: %s."
                .formatted(y.title(), x.title(), ends);
    }

    private Optional<String> last(Curve curve) {
        return curve.points().stream()
                .max(Comparator.comparingDouble(Point::x))
                .map(point ->
                        String.format(
                                Locale.ROOT,
                                "%s %s at %s",
                                curve.mixer(),
                                amount(point.y()),
                                amount(point.x())));
    }

    /** In three digits, or as a whole number. */
    private static String amount(double value) {
        return Math.abs(value) >= 1000
                ? String.format(Locale.ROOT, "%,.0f", value)
                : String.format(Locale.ROOT, "%.3g", value);
    }
}
