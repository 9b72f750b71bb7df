package dev.panthera.cli;

import java.io.PrintStream;

/**
 * Where a command writes.
 *
 * @param out results
 * @param err errors, and progress where results must stay clean
 * @param terminal whether a person watches {@code out}
 */
record Streams(PrintStream out, PrintStream err, boolean terminal) {

    /** Prints a line to {@link #out}; the line end is the same everywhere. */
    void line(String format, Object... arguments) {
        line(out, format, arguments);
    }

    static void line(PrintStream stream, String format, Object... arguments) {
        stream.print(Text.format(format, arguments) + "\n");
    }
}
