package dev.panthera.parity;

import java.io.PrintStream;
import java.util.List;
import java.util.Locale;

/** Prints outcomes as a table, a line each as soon as it is known, and their counts at the end. */
final class Report {

    private static final String LINE = "%%-%ds  %%9s  %%9s  %%9s  %%-9s  %%s";

    private final PrintStream out;
    private final String format;
    private int passed;
    private int failed;
    private int unknown;

    /** @param names of all cases, for the width of their column */
    Report(PrintStream out, List<String> names) {
        this.out = out;
        int width = names.stream().mapToInt(String::length).max().orElse(0);
        format = LINE.formatted(Math.max(width, "case".length()));
        print("case", "outputs", "gradients", "tolerance", "result", "");
    }

    void add(Outcome outcome) {
        print(
                outcome.name(),
                outcome.outputError(),
                outcome.gradientError(),
                outcome.tolerance(),
                outcome.verdict(),
                outcome.reason());
        switch (outcome.verdict()) {
            case PASS -> passed++;
            case FAIL -> failed++;
            case DEVIATION, UNKNOWN -> unknown++;
        }
    }

    /** Prints the last line. */
    void finish() {
        out.printf(Locale.ROOT, "%d passed, %d failed, %d unknown%n", passed, failed, unknown);
        out.flush();
    }

    boolean anyFailed() {
        return failed > 0;
    }

    private void print(
            String name,
            String outputs,
            String gradients,
            String tolerance,
            Object result,
            String reason) {
        out.println(
                format.formatted(name, outputs, gradients, tolerance, result, reason)
                        .stripTrailing());
    }
}
