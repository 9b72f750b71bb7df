package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.sweep.StoredTrial;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.TrialStatus;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code panthera ls}: the sweeps that there are, or the trials of one. */
@Command(
        name = "ls",
        sortOptions = false,
        description = "Lists the sweeps in sweeps/, or the trials of one.")
final class LsCommand implements Callable<Integer> {
    private static final String NOTHING = "-";

    private final Streams streams;

    @Parameters(
            paramLabel = "SWEEP",
            arity = "0..1",
            description = "Folder of a sweep, or its name if it is in sweeps/.")
    private @Nullable Path sweep;

    @Option(
            names = "--status",
            paramLabel = "waiting|running|done|failed",
            description = "Only such trials.")
    private @Nullable TrialStatus status;

    @Option(names = "--best", description = "The most accurate trials first.")
    private boolean best;

    LsCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        if (sweep == null) {
            listSweeps();
        } else {
            listTrials(SweepFolders.find(sweep));
        }
        return Panthera.OK;
    }

    private void listSweeps() {
        List<Path> folders = SweepFolders.all();
        if (folders.isEmpty()) {
            streams.line("no sweeps in %s; panthera run EXPERIMENT makes one", SweepFolders.SWEEPS);
        }
        for (Path folder : folders) {
            streams.line("%-32s %s", folder, counts(folder));
        }
    }

    /** What is wrong with one sweep hides no other. */
    private static String counts(Path folder) {
        try (var store = SweepStore.openForReading(folder)) {
            return counts(store.trials());
        } catch (UserException problem) {
            return problem.getMessage();
        }
    }

    private static String counts(List<StoredTrial> trials) {
        Map<TrialStatus, Integer> counts = new EnumMap<>(TrialStatus.class);
        for (TrialStatus each : TrialStatus.values()) {
            counts.put(each, 0);
        }
        trials.forEach(trial -> counts.merge(trial.status(), 1, Integer::sum));
        return Text.format(
                "%d trials: %d done, %d failed, %d running, %d waiting",
                trials.size(),
                counts.get(TrialStatus.DONE),
                counts.get(TrialStatus.FAILED),
                counts.get(TrialStatus.RUNNING),
                counts.get(TrialStatus.WAITING));
    }

    private void listTrials(Path folder) {
        try (var store = SweepStore.openForReading(folder)) {
            List<StoredTrial> trials = store.trials();
            var shown =
                    trials.stream()
                            .filter(trial -> status == null || trial.status() == status)
                            .sorted(order())
                            .toList();
            streams.line(
                    "%-16s %-8s %9s %9s %7s %9s  %s",
                    "trial", "status", "test", "valid", "epochs", "time", "");
            for (StoredTrial trial : shown) {
                streams.line("%s", line(trial));
            }
            streams.line("%s", counts(trials));
        }
    }

    private Comparator<StoredTrial> order() {
        Comparator<StoredTrial> byPlace = Comparator.comparingInt(StoredTrial::ordinal);
        return best
                ? Comparator.<StoredTrial>comparingDouble(
                                trial -> trial.test() == null ? 1 : -trial.test().accuracy())
                        .thenComparing(byPlace)
                : byPlace;
    }

    private static String line(StoredTrial trial) {
        var test = trial.test();
        var valid = trial.validationAccuracy();
        String what =
                trial.message() == null ? trial.label() : trial.label() + ": " + trial.message();
        return Text.format(
                "%-16s %-8s %9s %9s %7d %9s  %s",
                trial.id(),
                trial.status().label(),
                test == null ? NOTHING : Text.percent(test.accuracy()),
                valid == null ? NOTHING : Text.percent(valid),
                trial.epochs(),
                trial.epochs() == 0 ? NOTHING : Text.duration(trial.seconds()),
                what);
    }
}
