package dev.panthera.parity;

import dev.panthera.UserException;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.KernelException;
import dev.panthera.parity.Outcome.Verdict;
import dev.panthera.train.DeviceChoice;
import dev.panthera.train.DeviceTrouble;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * Runs recorded cases of the original implementation and reports how far our results are from the recorded ones: the
 * work of {@code panthera parity}. A case is a safetensors file; other files are passed over.
 */
public final class Parity {

    /** Exit code if no case failed. */
    public static final int PASSED = 0;

    /** Exit code if a case failed. */
    public static final int FAILED = 1;

    private Parity() {}

    /**
     * Runs all cases below a folder.
     *
     * @param directory searched recursively; a single safetensors file is one case
     * @param choice where to compute
     * @param out gets the device, a table with a line for each case, and their counts as the last line
     * @return {@link #PASSED} or {@link #FAILED}; unknown cases do not count as failed
     * @throws UserException if the folder cannot be read, or the device cannot be used or has failed
     */
    public static int run(Path directory, DeviceChoice choice, PrintStream out) {
        List<Path> files = cases(directory);
        try (var chosen = choice.open()) {
            out.println("on " + chosen.description());
            return run(directory, files, chosen.device(), out);
        } catch (KernelException.DeviceFailure lost) {
            throw DeviceTrouble.explain(lost);
        }
    }

    /**
     * As {@link #run(Path, DeviceChoice, PrintStream)} on an open device, of which nothing is printed.
     *
     * @throws KernelException.DeviceFailure if the device has failed, with which no further case can be run
     */
    public static int run(Path directory, Device device, PrintStream out) {
        return run(directory, cases(directory), device, out);
    }

    private static int run(Path directory, List<Path> files, Device device, PrintStream out) {
        List<String> names = files.stream().map(file -> name(directory, file)).toList();
        var report = new Report(out, names);
        for (int i = 0; i < files.size(); i++) {
            report.add(outcome(names.get(i), files.get(i), device));
        }
        report.finish();
        return report.anyFailed() ? FAILED : PASSED;
    }

    private static List<Path> cases(Path directory) {
        try (Stream<Path> found = Files.walk(directory, FileVisitOption.FOLLOW_LINKS)) {
            List<Path> files =
                    found.filter(Files::isRegularFile)
                            .filter(file -> file.getFileName().toString().endsWith(Golden.SUFFIX))
                            .sorted()
                            .toList();
            UserException.require(
                    Files.isDirectory(directory) || !files.isEmpty(),
                    "%s: it is neither a folder nor a safetensors file; name a folder of recorded cases",
                    directory);
            return files;
        } catch (IOException | UncheckedIOException unreadable) {
            throw new UserException(
                    "cannot read %s: %s; name a folder of recorded cases"
                            .formatted(directory, cause(unreadable)),
                    unreadable);
        }
    }

    private static String cause(Exception unreadable) {
        Throwable root =
                unreadable instanceof UncheckedIOException wrapped
                        ? wrapped.getCause()
                        : unreadable;
        return switch (root) {
            case NoSuchFileException _ -> "there is no such folder";
            case AccessDeniedException denied -> "permission denied for " + denied.getFile();
            default -> String.valueOf(root.getMessage());
        };
    }

    private static String name(Path directory, Path file) {
        Path below = directory.relativize(file);
        String name = below.toString().isEmpty() ? file.getFileName().toString() : below.toString();
        return name.substring(0, name.length() - Golden.SUFFIX.length());
    }

    /** A case that cannot be read or that throws has failed; the others go on, unless the device is gone. */
    private static Outcome outcome(String name, Path file, Device device) {
        try {
            Golden golden = Golden.read(file);
            ParityCase parityCase = ParityCases.of(golden);
            var comparison = new Comparison(golden);
            try (var bench = new Workbench(device)) {
                parityCase.run(golden, bench, comparison);
            }
            return Outcome.of(name, comparison);
        } catch (UnknownCaseException unknown) {
            return Outcome.without(name, Verdict.UNKNOWN, String.valueOf(unknown.getMessage()));
        } catch (DeviationException deviation) {
            return Outcome.without(name, Verdict.DEVIATION, String.valueOf(deviation.getMessage()));
        } catch (KernelException.DeviceFailure lost) {
            throw lost;
        } catch (RuntimeException failure) {
            String message = failure.getMessage();
            return Outcome.without(
                    name, Verdict.FAIL, message == null ? failure.toString() : message);
        }
    }
}
