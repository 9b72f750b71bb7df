package dev.panthera.parity;

import dev.panthera.parity.Comparison.Check;
import dev.panthera.parity.Comparison.Kind;
import java.util.Locale;
import java.util.Optional;

/**
 * What came of a case: a line of the report.
 *
 * @param name of the case, its path below the folder
 * @param outputError the worst of its outputs, formatted; empty if none was compared
 * @param gradientError likewise of its gradients
 * @param tolerance of the tensor that comes closest to it
 * @param reason for a verdict other than {@link Verdict#PASS}
 */
record Outcome(
        String name,
        Verdict verdict,
        String outputError,
        String gradientError,
        String tolerance,
        String reason) {

    enum Verdict {
        PASS,
        FAIL,
        DEVIATION,
        UNKNOWN;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Of a case that was compared. */
    static Outcome of(String name, Comparison comparison) {
        Optional<Check> worst = comparison.worst();
        if (worst.isEmpty()) {
            return without(name, Verdict.FAIL, "nothing was compared");
        }
        Check check = worst.get();
        return new Outcome(
                name,
                check.passed() ? Verdict.PASS : Verdict.FAIL,
                comparison.worst(Kind.OUTPUT).map(Check::error).map(Outcome::number).orElse(""),
                comparison.worst(Kind.GRADIENT).map(Check::error).map(Outcome::number).orElse(""),
                number(check.tolerance()),
                check.passed()
                        ? ""
                        : "%s: error %s".formatted(check.tensor(), number(check.error())));
    }

    /** Of a case that could not be compared. */
    static Outcome without(String name, Verdict verdict, String reason) {
        return new Outcome(name, verdict, "", "", "", reason);
    }

    private static String number(double value) {
        return value == 0 ? "0" : String.format(Locale.ROOT, "%.1e", value);
    }
}
