package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import dev.panthera.sweep.ExperimentJar;
import dev.panthera.sweep.Grid;
import dev.panthera.sweep.GridOptions;
import dev.panthera.sweep.Launch;
import dev.panthera.sweep.Sweep;
import dev.panthera.sweep.SweepConsole;
import dev.panthera.sweep.SweepRun;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.Trial;
import dev.panthera.sweep.TrialStatus;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What {@link Sweep#run} does: lists the trials, or carries out those that are not done. */
public final class SweepCommand implements SweepConsole {
    /** For {@link java.util.ServiceLoader}. */
    public SweepCommand() {}

    @Override
    public int run(Sweep sweep, List<String> arguments) {
        return Panthera.execute(
                streams -> new CommandLine(new Parsed(sweep, streams)),
                arguments.toArray(String[]::new));
    }

    @Command(
            name = "experiment",
            sortOptions = false,
            description = "Runs the trials of a sweep that are not done yet.")
    private static final class Parsed implements Callable<Integer> {
        private final Sweep sweep;
        private final Streams streams;

        @Mixin private SweepOptions options = new SweepOptions();

        @Option(
                names = {"-h", "--help"},
                usageHelp = true,
                description = "Prints this help.")
        private boolean help;

        @Option(names = "--stacktrace", description = "Prints where an error comes from.")
        private boolean stacktrace;

        Parsed(Sweep sweep, Streams streams) {
            this.sweep = sweep;
            this.streams = streams;
        }

        @Override
        public Integer call() {
            options.requirePossible();
            GridOptions.apply(sweep, options.scale, options.settings);
            Grid grid = sweep.grid();
            List<Trial> selected = GridOptions.select(sweep, grid.trials(), options.only);
            if (options.dryRun) {
                new DryRun(streams, options).print(sweep, grid, selected);
                return Panthera.OK;
            }
            UserException.require(
                    !selected.isEmpty(),
                    "%s: there is no trial to run%s",
                    sweep.name(),
                    grid.unavailable().isEmpty()
                            ? ""
                            : "; those that there are need what does not exist yet");
            return carryOut(grid, selected);
        }

        private int carryOut(Grid grid, List<Trial> selected) {
            Path folder =
                    options.out == null ? SweepFolders.SWEEPS.resolve(sweep.name()) : options.out;
            UserException.require(
                    !Files.exists(folder) || Files.isDirectory(folder),
                    "--out %s: it is a file; name a folder",
                    folder);
            try (var interruption = new Interruption();
                    var store = SweepStore.open(folder)) {
                store.put("name", sweep.name());
                store.put("description", sweep.description());
                store.put("version", Version.line());
                store.putIfAbsent(
                        "begun", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
                keepJar(folder);
                var engine = options.engine(folder, selected);
                var plan =
                        new SweepRun.Plan(
                                grid.trials(),
                                selected,
                                folder,
                                options.retryFailed,
                                options.keepCheckpoints,
                                options.tracking.options());
                var view = new SweepView(streams, options.json, selected, System::nanoTime);
                view.begin(sweep, folder, engine.description(), grid.unavailableTrials());
                Map<TrialStatus, Integer> counts;
                try (view) {
                    counts = SweepRun.run(plan, store, engine, interruption::requested, view);
                }
                return end(folder, counts, interruption.requested());
            }
        }

        /** A device that is not there would fail every trial. */
        private static void keepJar(Path folder) {
            Launch.current()
                    .flatMap(Launch::experimentJar)
                    .ifPresent(jar -> {
                        try {
                            Path kept = folder.resolve(ExperimentJar.NAME);
                            byte[] classes = Files.readAllBytes(jar);
                            if (!Files.exists(kept) || Files.mismatch(jar, kept) >= 0) {
                                AtomicFile.write(
                                        kept, channel -> channel.write(ByteBuffer.wrap(classes)));
                            }
                        } catch (IOException failure) {
                            throw new UserException(
                                    "%s: the experiment's classes cannot be kept here (%s)"
                                            .formatted(folder, failure.getMessage()),
                                    failure);
                        }
                    });
        }

        private int end(Path folder, Map<TrialStatus, Integer> counts, boolean interrupted) {
            int failed = counts.get(TrialStatus.FAILED);
            int left = counts.get(TrialStatus.WAITING) + counts.get(TrialStatus.RUNNING);
            var log = options.json ? streams.err() : streams.out();
            if (interrupted && left > 0) {
                Streams.line(
                        log,
                        "interrupted: %d done, %d failed, %d left; the same command goes on",
                        counts.get(TrialStatus.DONE),
                        failed,
                        left);
            } else {
                Streams.line(
                        log,
                        "%d done, %d failed%s  (panthera report %s)",
                        counts.get(TrialStatus.DONE),
                        failed,
                        left == 0 ? "" : ", " + left + " left to another process",
                        folder);
            }
            if (failed > 0) {
                Streams.line(
                        log,
                        "panthera ls %s --status failed tells why; --retry-failed runs them again",
                        folder);
            }
            if (options.json) {
                streams.line(
                        "%s",
                        new JsonLine()
                                .with("folder", folder.toString())
                                .with("done", counts.get(TrialStatus.DONE))
                                .with("failed", failed)
                                .with("left", left));
            }
            if (interrupted && left > 0) {
                return Panthera.INTERRUPTED;
            }
            return failed > 0 ? Panthera.FAILURE : Panthera.OK;
        }
    }
}
