package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.compare.ComparisonPlan;
import dev.panthera.compare.ComparisonRun;
import dev.panthera.compare.MixerComparison;
import dev.panthera.compare.MixerResult;
import dev.panthera.compare.StepCost;
import dev.panthera.sweep.Grid;
import dev.panthera.sweep.LocalEngine;
import dev.panthera.sweep.Sweep;
import dev.panthera.sweep.SweepStore;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
            "Compares sequence mixers: how well each recalls with the best of a few learning rates, the state that it keeps,",
            "and the time and memory of its training steps at growing lengths. Ends with a table and a page of figures.",
            "Stopped by Ctrl-C, the same command goes on."
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
        var log = json ? streams.err() : streams.out();
        try (var interruption = new Interruption()) {
            Optional<List<MixerResult>> results = train(sweep, grid, plan, folder, interruption);
            if (results.isEmpty() || interruption.requested()) {
                return interrupted(log);
            }
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
            var comparison =
                    ComparisonRun.comparison(
                            plan,
                            results.get(),
                            costs,
                            new ComparisonRun.Setting(
                                    Version.line(), described(), commandLine(spec)));
            var written = comparison.write(folder, !noImages);
            show(log, comparison, written);
            return results.get().stream().allMatch(result -> result.testAccuracy() == null)
                    ? Panthera.FAILURE
                    : Panthera.OK;
        }
    }
}
