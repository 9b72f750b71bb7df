package dev.panthera.report;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Axes, as Vega-Lite wants them for a position channel. */
final class Axis {
    private static final String BYTES =
            "datum.value < 1024 ? datum.value + ' B' : datum.value < 1048576 ? datum.value / 1024 + ' KiB'"
                    + " : datum.value / 1048576 + ' MiB'";

    private static final int[] ALL_DIGITS = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    private static final int FEWEST_TICKS = 3;

    private Axis() {}

    /** From 0 to 1 with the ticks of the published figures. */
    static ObjectNode accuracy(String title) {
        ObjectNode axis =
                Json.object(
                        """
                        {"type": "quantitative", "scale": {"domain": [0, 1], "nice": false},
                         "axis": {"values": [0, 0.25, 0.5, 0.75, 1], "format": ".2~f"}}
                        """);
        return axis.put("title", title);
    }

    /** Linear from 0. */
    static ObjectNode linear(String title, int ticks) {
        ObjectNode axis =
                Json.object(
                        """
                        {"type": "quantitative", "scale": {"zero": true, "nice": true}, "axis": {"format": "~s"}}
                        """);
        axis.withObject("axis").put("tickCount", ticks);
        return axis.put("title", title);
    }

    /** Binary logarithm, with ticks at the values themselves as long as they are few. */
    static ObjectNode powersOfTwo(String title, List<Double> values) {
        List<Double> distinct = values.stream().distinct().sorted().toList();
        double first = distinct.getFirst();
        double last = distinct.getLast();
        ObjectNode axis = logarithmic(title, first, last);
        ArrayNode ticks = axis.withObject("axis").putArray("values");
        if (distinct.size() <= 8) {
            distinct.forEach(ticks::add);
        } else {
            for (double tick = Math.pow(2, Math.ceil(log2(first))); tick <= last; tick *= 4) {
                ticks.add(tick);
            }
        }
        axis.withObject("axis").put("format", "~d");
        return axis;
    }

    /** Binary logarithm of a number of bytes. */
    static ObjectNode bytes(String title, List<Double> values) {
        double first = values.stream().mapToDouble(value -> value).min().orElseThrow();
        double last = values.stream().mapToDouble(value -> value).max().orElseThrow();
        ObjectNode axis = logarithmic(title, first, last);
        ArrayNode ticks = axis.withObject("axis").putArray("values");
        double step = Math.max(1, Math.ceil((log2(last) - log2(first)) / 4));
        for (double power = Math.floor(log2(first));
                power <= Math.ceil(log2(last));
                power += step) {
            ticks.add(Math.pow(2, power));
        }
        axis.withObject("axis").put("labelExpr", BYTES);
        return axis;
    }

    /** Common logarithm for measured quantities, with ticks at round numbers: at few digits if that is enough ticks. */
    static ObjectNode decades(String title, List<Double> values) {
        double first = values.stream().mapToDouble(value -> value).min().orElseThrow() / 1.15;
        double last = values.stream().mapToDouble(value -> value).max().orElseThrow() * 1.15;
        for (int[] digits : List.of(new int[] {1}, new int[] {1, 2, 5}, ALL_DIGITS)) {
            List<Double> steps = steps(first, last, digits);
            long inside = steps.stream().filter(step -> step >= first && step <= last).count();
            if (inside >= FEWEST_TICKS) {
                return decades(title, first, last, steps);
            }
        }
        List<Double> steps = steps(first, last, ALL_DIGITS);
        double below =
                steps.stream().filter(step -> step <= first).reduce(first, (_, step) -> step);
        double above = steps.stream().filter(step -> step >= last).findFirst().orElse(last);
        return decades(title, below, above, steps);
    }

    private static ObjectNode decades(String title, double first, double last, List<Double> steps) {
        ObjectNode axis =
                Json.object(
                        """
                        {"type": "quantitative", "scale": {"type": "log", "base": 10, "nice": false},
                         "axis": {"format": "~s"}}
                        """);
        axis.withObject("scale").putArray("domain").add(first).add(last);
        ArrayNode ticks = axis.withObject("axis").putArray("values");
        steps.stream().filter(step -> step >= first && step <= last).forEach(ticks::add);
        return axis.put("title", title);
    }

    /** Digits times powers of ten, from one at or below {@code first} to one at or above {@code last}. */
    private static List<Double> steps(double first, double last, int... digits) {
        List<Double> steps = new ArrayList<>();
        int highest = (int) Math.ceil(Math.log10(last));
        for (int power = (int) Math.floor(Math.log10(first)); power <= highest; power++) {
            for (int digit : digits) {
                steps.add(Double.parseDouble(digit + "e" + power));
            }
        }
        return steps;
    }

    private static ObjectNode logarithmic(String title, double first, double last) {
        ObjectNode axis =
                Json.object(
                        """
                        {"type": "quantitative", "scale": {"type": "log", "base": 2, "nice": false},
                         "axis": {}}
                        """);
        double margin = first == last ? 2 : Math.pow(last / first, 0.07);
        axis.withObject("scale").putArray("domain").add(first / margin).add(last * margin);
        return axis.put("title", title);
    }

    private static double log2(double value) {
        return Math.log(value) / Math.log(2);
    }
}
