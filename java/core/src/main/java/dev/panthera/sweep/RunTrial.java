package dev.panthera.sweep;

import dev.panthera.UserException;
import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.BooleanSupplier;

/** One trial of a sweep's folder, as a job of a cluster runs it: what {@code panthera run-trial} does. */
public final class RunTrial {
    private RunTrial() {}

    /**
     * Runs the trial of an index, from its checkpoint if it has one, and writes its outcome into the folder. The mixers and
     * tasks of the experiment come from {@code experiment.jar} in the folder. A trial that is done is not run again.
     *
     * @param stopRequested asked before each step; once true, the trial writes a checkpoint and ends as {@link
     *     TrialStatus#WAITING}
     * @throws UserException if the folder has no order of that index, or cannot be used
     */
    public static TrialOutcome run(Path folder, int index, BooleanSupplier stopRequested) {
        var files = new TrialFolder(folder.toAbsolutePath().normalize());
        var thread = Thread.currentThread();
        ClassLoader before = thread.getContextClassLoader();
        try (var loader = new URLClassLoader("experiment", experiment(files), before)) {
            thread.setContextClassLoader(loader);
            return run(files, files.order(index), stopRequested);
        } catch (IOException failure) {
            throw new UserException(
                    "%s cannot be closed (%s); start the trial again"
                            .formatted(files.experimentJar(), failure.getMessage()),
                    failure);
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    private static TrialOutcome run(
            TrialFolder files, TrialOrder order, BooleanSupplier stopRequested) {
        var earlier = files.outcome(order.id()).filter(o -> o.status() == TrialStatus.DONE);
        if (earlier.isPresent()) {
            return earlier.get();
        }
        files.beginProgress(order.id());
        TrialOutcome outcome =
                TrialRun.run(
                        order,
                        stopRequested,
                        ProgressLine.writer(line -> files.appendProgress(order.id(), line)));
        files.write(outcome);
        return outcome;
    }

    private static URL[] experiment(TrialFolder files) {
        Path jar = files.experimentJar();
        try {
            return Files.isRegularFile(jar) ? new URL[] {jar.toUri().toURL()} : new URL[0];
        } catch (MalformedURLException impossible) {
            throw new IllegalStateException(jar + " has no address", impossible);
        }
    }
}
