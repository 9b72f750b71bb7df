package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.compare.ComparisonLines;
import dev.panthera.compare.ComparisonPlan;
import dev.panthera.compare.ComparisonReport;
import dev.panthera.compare.ComparisonRun;
import dev.panthera.compare.ComparisonTable;
import dev.panthera.compare.MixerComparison;
import dev.panthera.compare.MixerResult;
import dev.panthera.compare.StepCost;
import dev.panthera.sweep.Grid;
import dev.panthera.sweep.LocalEngine;
import dev.panthera.sweep.Sweep;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.Trial;
import dev.panthera.train.ConfigFile;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code panthera compare}: what mixers recall, keep and cost, side by side. */
@Command(
        name = "compare",
        sortOptions = false,
        abbreviateSynopsis = true,
        description = {
            "Compares sequence mixers: how well each recalls with the best of a few learning rates, the",
            "state that it keeps, and the time and memory of its training steps at growing lengths. Ends",
            "with a table and a page of figures. Stopped by Ctrl-C, the same command goes on."
        },
        optionListHeading = "%nThe comparison:%n")
final class CompareCommand implements Callable<Integer> {
    private static final double A_MINUTE = 60;

    private final Streams streams;

    @Mixin private CompareOptions options = new CompareOptions();

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Folder of the comparison. Default: sweeps/compare-<task>")
    private @Nullable Path out;

    @Option(
            names = "--no-images",
            description = "Writes the page alone, without SVG and PNG files of its figures.")
    private boolean noImages;

    @Option(names = "--retry-failed", description = "Runs trials again that failed.")
    private boolean retryFailed;

    @Option(
            names = "--json",
            description = "Prints a JSON object a line: mixers, steps, and the folder at last.")
    private boolean json;

    @Mixin private DeviceMixin device = new DeviceMixin();

    @Spec private CommandSpec spec;

    private CompareCommand(Streams streams) {
        this.streams = streams;
    }

    static CommandLine commandLine(Streams streams) {
        var commandLine = new CommandLine(new CompareCommand(streams));
        CompareOptions.addTo(commandLine.getCommandSpec());
        return commandLine;
    }

    @Override
    public Integer call() {
        ComparisonPlan plan = options.plan(spec.commandLine().getParseResult());
        Sweep sweep = plan.sweep();
        Grid grid = sweep.grid();
        Path folder = out == null ? SweepFolders.SWEEPS.resolve(sweep.name()) : out;
        UserException.require(
                !Files.exists(folder) || Files.isDirectory(folder),
                "--out %s: it is a file; name a folder",
                folder);
        // Before anything is written, so that a device that is not there is a mistake and not a
        // failed trial.
        Map<String, String> provenance = provenance();
        var log = json ? streams.err() : streams.out();
        try (var interruption = new Interruption()) {
            Optional<List<MixerResult>> results = train(sweep, grid, plan, folder, interruption);
            if (interruption.requested()) {
                return interrupted(log);
            }
            UserException.require(
                    results.isPresent(),
                    "%s: another process trains some of its models; wait until it has ended, then give the same command",
                    folder);
            var costs =
                    ComparisonRun.time(
                            plan,
                            device.choice(),
                            options.inAMinute() ? A_MINUTE : Double.POSITIVE_INFINITY,
                            interruption::requested,
                            atOneLength -> tell(log, atOneLength));
            if (interruption.requested()) {
                return interrupted(log);
            }
            var comparison = ComparisonRun.comparison(plan, results.get(), costs, provenance);
            var written = ComparisonReport.write(comparison, folder, !noImages);
            show(log, comparison);
            written.messages().forEach(message -> Streams.line(log, "%s", message));
            Streams.line(log, "page          %s", folder.resolve(ComparisonReport.PAGE));
            if (json) {
                printJson(comparison, folder);
            }
            return results.get().stream().allMatch(result -> result.testAccuracy() == null)
                    ? Panthera.FAILURE
                    : Panthera.OK;
        }
    }

    private Optional<List<MixerResult>> train(
            Sweep sweep, Grid grid, ComparisonPlan plan, Path folder, Interruption interruption) {
        LocalEngine engine = engine(grid.trials());
        try (var store = SweepStore.open(folder);
                var view = new SweepView(streams, json, grid.trials(), System::nanoTime)) {
            store.put("name", sweep.name());
            store.put("description", sweep.description());
            store.put("version", Version.line());
            store.putIfAbsent("begun", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
            view.begin(sweep, folder, engine.description(), 0);
            return ComparisonRun.train(
                    plan, folder, store, retryFailed, engine, interruption::requested, view);
        }
    }

    /** As a sweep does it: as many trials at once as there are cores and as fit into memory, or one on a CUDA device. */
    private LocalEngine engine(List<Trial> trials) {
        var sweepOptions = new SweepOptions();
        sweepOptions.devices = List.of(device.choice().name());
        sweepOptions.threads = device.choice().threads();
        return sweepOptions.localEngine(trials);
    }

    private Map<String, String> provenance() {
        Map<String, String> provenance = new LinkedHashMap<>();
        try (var chosen = device.choice().open()) {
            provenance.put("device", chosen.description());
        }
        provenance.put("version", Version.line());
        List<String> arguments = spec.commandLine().getParseResult().originalArgs();
        provenance.put("command", "panthera " + String.join(" ", arguments));
        return provenance;
    }

    private static void tell(PrintStream log, List<StepCost> costs) {
        String steps =
                costs.stream()
                        .map(cost ->
                                cost.measured()
                                        ? Text.format(
                                                "%s %.1f ms",
                                                cost.mixer(), 1e3 * cost.medianSeconds())
                                        : cost.mixer() + " failed")
                        .collect(Collectors.joining(", "));
        Streams.line(
                log,
                "length %d, a step of %d rows: %s",
                costs.getFirst().length(),
                costs.getFirst().rows(),
                steps);
    }

    private static void show(PrintStream log, MixerComparison comparison) {
        var table = ComparisonTable.of(comparison);
        List<List<String>> lines = new ArrayList<>();
        lines.add(List.copyOf(table.columns().keySet()));
        lines.addAll(table.rows());
        List<Boolean> words = List.copyOf(table.columns().values());
        Streams.line(log, "");
        for (List<String> cells : lines) {
            var line = new StringBuilder();
            for (int i = 0; i < cells.size(); i++) {
                int column = i;
                int width =
                        lines.stream().mapToInt(row -> row.get(column).length()).max().orElse(0);
                String format = words.get(i) ? "%-" + width + "s" : "%" + width + "s";
                line.append(i == 0 ? "" : "  ").append(Text.format(format, cells.get(i)));
            }
            Streams.line(log, "%s", line.toString().stripTrailing());
        }
        Streams.line(log, "");
        comparison.notes().forEach(note -> Streams.line(log, "%s", note));
        comparison.failures().forEach(failure -> Streams.line(log, "failed: %s", failure));
    }

    private void printJson(MixerComparison comparison, Path folder) {
        ComparisonLines.of(comparison)
                .forEach(line -> streams.line("%s", ConfigFile.toJsonLine(line)));
        streams.line("%s", new JsonLine().with("folder", folder.toString()));
    }

    private int interrupted(PrintStream log) {
        Streams.line(log, "interrupted; the same command goes on");
        return Panthera.INTERRUPTED;
    }
}
