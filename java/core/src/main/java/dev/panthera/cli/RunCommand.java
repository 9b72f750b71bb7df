package dev.panthera.cli;

import dev.panthera.sweep.ExperimentJar;
import dev.panthera.sweep.GridFile;
import dev.panthera.sweep.Launch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code panthera run}: compiles an experiment and starts it. */
@Command(
        name = "run",
        sortOptions = false,
        abbreviateSynopsis = true,
        description = {
            "Runs an experiment: a Java file whose main method runs a sweep, or a grid in YAML.",
            "What is done stays done: the same command goes on where it was interrupted."
        })
final class RunCommand implements Callable<Integer> {
    private final Streams streams;

    @Parameters(paramLabel = "EXPERIMENT", description = "A .java or .yaml file.")
    private Path experiment;

    /** Checked here, so that a mistake is found before anything is compiled; the sweep reads them again. */
    @Mixin private SweepOptions options = new SweepOptions();

    @Spec private CommandSpec spec;

    RunCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() throws Exception {
        List<String> arguments = forExperiment();
        String name = experiment.toString().toLowerCase(Locale.ROOT);
        if (name.endsWith(".yaml") || name.endsWith(".yml") || name.endsWith(".json")) {
            var launch = new Launch(arguments, null);
            return Panthera.with(
                    streams,
                    () ->
                            launch.call(() -> {
                                GridFile.read(experiment).run(arguments.toArray(String[]::new));
                                return launch.code();
                            }));
        }
        return runJava(arguments);
    }

    /** What follows the command's name, without the experiment itself. */
    private List<String> forExperiment() {
        var parsed = spec.commandLine().getParseResult();
        List<String> all = parsed.originalArgs();
        List<String> arguments =
                new ArrayList<>(all.subList(all.indexOf(spec.name()) + 1, all.size()));
        arguments.remove(parsed.matchedPositional(0).originalStringValues().getFirst());
        return arguments;
    }

    private int runJava(List<String> arguments) throws Exception {
        Path jar = Files.createTempFile("panthera-", ".jar");
        try {
            ExperimentJar.compile(experiment, jar);
            try (var loader = ExperimentJar.loader(jar)) {
                return start(jar, loader, arguments);
            }
        } finally {
            deleteQuietly(jar);
        }
    }

    private int start(Path jar, ClassLoader loader, List<String> arguments) throws Exception {
        var thread = Thread.currentThread();
        var before = thread.getContextClassLoader();
        var launch = new Launch(arguments, jar);
        thread.setContextClassLoader(loader);
        try {
            return Panthera.with(
                    streams,
                    () ->
                            launch.call(() -> {
                                ExperimentJar.main(jar, loader, arguments);
                                return launch.code();
                            }));
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    private static void deleteQuietly(@Nullable Path file) {
        try {
            if (file != null) {
                Files.deleteIfExists(file);
            }
        } catch (IOException left) {
            // The system cleans its temporary folder.
        }
    }
}
