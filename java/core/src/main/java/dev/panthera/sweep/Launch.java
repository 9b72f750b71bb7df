package dev.panthera.sweep;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;

/** An experiment that {@code panthera run} has started: what it was given, and how it ended. */
public final class Launch {
    private static final ScopedValue<Launch> CURRENT = ScopedValue.newInstance();

    private final List<String> arguments;
    private final @Nullable Path experimentJar;
    private int code;
    private boolean swept;

    /**
     * @param arguments for the experiment
     * @param experimentJar its classes; null if it has none
     */
    public Launch(List<String> arguments, @Nullable Path experimentJar) {
        this.arguments = List.copyOf(arguments);
        this.experimentJar = experimentJar;
    }

    /** The launch that the current thread runs in; empty if the experiment was started in another way. */
    public static Optional<Launch> current() {
        return CURRENT.isBound() ? Optional.of(CURRENT.get()) : Optional.empty();
    }

    /** Runs an experiment's main method. */
    public <T> T call(Callable<T> main) throws Exception {
        return ScopedValue.where(CURRENT, this).call(main::call);
    }

    /** Arguments for the experiment. */
    public List<String> arguments() {
        return arguments;
    }

    /** The experiment's classes; empty if it has none. */
    public Optional<Path> experimentJar() {
        return Optional.ofNullable(experimentJar);
    }

    /** Notes how a sweep of the experiment ended; the first that did not end well counts. */
    void ended(int exitCode) {
        swept = true;
        code = code == 0 ? exitCode : code;
    }

    /** Whether the experiment has run a sweep. */
    public boolean swept() {
        return swept;
    }

    /** The exit code of the program. */
    public int code() {
        return code;
    }
}
