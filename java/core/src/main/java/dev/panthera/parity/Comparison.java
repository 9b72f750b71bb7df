package dev.panthera.parity;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/**
 * Collects how far our results of one case are from the recorded ones. The relative error of a tensor is
 *
 * <pre>
 *     outputs:    max|ours - recorded| / max|recorded|
 *     gradients:  max|ours - recorded| / max(max|recorded|, 1e-3 G)     G = max|gradient| over all gradients
 * </pre>
 *
 * so that a gradient which is zero but for rounding is measured on the scale of the others.
 */
final class Comparison {

    /** What a compared tensor is; also the column of the report. */
    enum Kind {
        OUTPUT,
        GRADIENT
    }

    /**
     * One compared tensor.
     *
     * @param error infinite if anything that was computed is NaN
     */
    record Check(String tensor, Kind kind, double error, double tolerance) {

        boolean passed() {
            return error <= tolerance;
        }

        private double timesTolerance() {
            return passed() && tolerance == 0 ? 0 : error / tolerance;
        }
    }

    private static final double GRADIENT_FLOOR = 1e-3;

    private final Golden golden;
    private final double tolerance;
    private final double gradientScale;
    private final List<Check> checks = new ArrayList<>();

    Comparison(Golden golden) {
        this.golden = golden;
        tolerance = golden.tolerance();
        gradientScale = golden.gradientScale();
    }

    /** Compares an output with the recorded tensor of that name. */
    void output(String tensor, double[] ours) {
        double[] recorded = golden.doubles(tensor);
        record(
                tensor,
                Kind.OUTPUT,
                ratio(largestDifference(tensor, ours, recorded), largest(recorded)),
                tolerance);
    }

    /** Compares a gradient with the recorded tensor of that name. */
    void gradient(String tensor, double[] ours) {
        double[] recorded = golden.doubles(tensor);
        double scale = Math.max(largest(recorded), GRADIENT_FLOOR * gradientScale);
        record(
                tensor,
                Kind.GRADIENT,
                ratio(largestDifference(tensor, ours, recorded), scale),
                tolerance);
    }

    /** Compares by the largest absolute difference. */
    void absolute(String what, Kind kind, double[] ours, double[] recorded, double allowed) {
        record(what, kind, largestDifference(what, ours, recorded), allowed);
    }

    /** Records an error that was measured otherwise. */
    void record(String what, Kind kind, double error, double allowed) {
        checks.add(
                new Check(
                        what,
                        kind,
                        Double.isNaN(error) ? Double.POSITIVE_INFINITY : error,
                        allowed));
    }

    double tolerance() {
        return tolerance;
    }

    /** The largest error of the outputs, or of the gradients; empty if none was compared. */
    Optional<Check> worst(Kind kind) {
        return worst(checks.stream().filter(check -> check.kind() == kind).toList(), Check::error);
    }

    /** The check that comes closest to its tolerance, or exceeds it most; empty if nothing was compared. */
    Optional<Check> worst() {
        return worst(checks, Check::timesTolerance);
    }

    private static Optional<Check> worst(List<Check> among, ToDoubleFunction<Check> measure) {
        return among.stream()
                .max((a, b) -> Double.compare(measure.applyAsDouble(a), measure.applyAsDouble(b)));
    }

    private static double ratio(double difference, double scale) {
        return difference == 0 ? 0 : difference / scale;
    }

    private static double largestDifference(String tensor, double[] ours, double[] recorded) {
        if (ours.length != recorded.length) {
            throw new IllegalArgumentException(
                    "%s has %d elements, recorded are %d"
                            .formatted(tensor, ours.length, recorded.length));
        }
        double largest = 0;
        for (int i = 0; i < ours.length; i++) {
            double difference = Math.abs(ours[i] - recorded[i]);
            if (Double.isNaN(difference)) {
                return Double.POSITIVE_INFINITY;
            }
            largest = Math.max(largest, difference);
        }
        return largest;
    }

    private static double largest(double[] values) {
        double largest = 0;
        for (double value : values) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }
}
