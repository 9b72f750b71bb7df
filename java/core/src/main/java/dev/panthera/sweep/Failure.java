package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.kernels.KernelException;
import dev.panthera.train.DivergedException;
import dev.panthera.train.EpochReport;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** An exception as a trial's outcome. */
final class Failure {
    private Failure() {}

    static TrialOutcome of(
            String id, @Nullable String device, List<EpochReport> epochs, Throwable cause) {
        var stack = new StringWriter();
        cause.printStackTrace(new PrintWriter(stack));
        double seconds = epochs.stream().mapToDouble(EpochReport::seconds).sum();
        return new TrialOutcome(
                id,
                TrialStatus.FAILED,
                device,
                null,
                null,
                epochs,
                0,
                0,
                seconds,
                message(cause),
                stack.toString());
    }

    /** On one line, with the kind of exception where its message alone would not be understood. */
    private static String message(Throwable cause) {
        String text = cause.getMessage();
        boolean speaksForItself =
                cause instanceof UserException
                        || cause instanceof DivergedException
                        || cause instanceof KernelException;
        String line = speaksForItself && text != null ? text : cause.toString();
        return line.replaceAll("\\s*\\R\\s*", " ").strip();
    }
}
