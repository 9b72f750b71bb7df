package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.mixer.Mixers;
import dev.panthera.sweep.StoredTrial;
import dev.panthera.sweep.SweepStore;
import dev.panthera.train.ConfigFile;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code panthera show}: all that is known of a trial. */
@Command(name = "show", sortOptions = false, description = "Shows all that is known of a trial.")
final class ShowCommand implements Callable<Integer> {
    private final Streams streams;

    @Parameters(
            paramLabel = "TRIAL",
            description = "Its name as panthera ls shows it, or the first letters of it.")
    private String trial;

    @Option(
            names = "--sweep",
            paramLabel = "DIR",
            description = "Folder of its sweep. Default: every sweep in sweeps/ is searched")
    private @Nullable Path sweep;

    ShowCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        Map<Path, StoredTrial> found = new LinkedHashMap<>();
        for (Path folder : SweepFolders.choose(sweep)) {
            try (var store = SweepStore.openForReading(folder)) {
                List<StoredTrial> like = store.trialsLike(trial);
                UserException.require(
                        like.size() <= 1,
                        "%s: %d trials of %s begin like this; give more letters",
                        trial,
                        like.size(),
                        folder);
                like.forEach(each -> found.put(folder, each));
            }
        }
        UserException.require(
                !found.isEmpty(),
                "%s: %s has no such trial; panthera ls SWEEP lists them",
                trial,
                sweep == null ? "no sweep in sweeps/" : sweep);
        UserException.require(
                found.size() == 1,
                "%s: there is such a trial in each of %s; choose one with --sweep",
                trial,
                found.keySet());
        found.forEach(this::show);
        return Panthera.OK;
    }

    private void show(Path folder, StoredTrial found) {
        try (var store = SweepStore.openForReading(folder)) {
            show(folder, store, found);
        }
    }

    private void show(Path folder, SweepStore store, StoredTrial found) {
        streams.line("trial       %s  (%s)", found.id(), folder);
        found.factors().forEach((name, label) -> streams.line("%-11s %s", name, label));
        streams.line("status      %s, taken %d times", found.status().label(), found.attempts());
        if (!found.causal()) {
            streams.line("causal      %s", Text.LOOKS_AHEAD);
        }
        if (found.device() != null) {
            streams.line("device      %s", found.device());
            streams.line("parameters  %s", Text.grouped(found.parameters()));
            streams.line(
                    "state       %s bytes, counted as published", Text.grouped(found.stateBytes()));
        }
        var test = found.test();
        if (test != null) {
            streams.line(
                    "test        %s%s  (loss %.4f, %s examples)",
                    Text.percent(test.accuracy()),
                    found.causal() ? "" : Mixers.NON_CAUSAL,
                    test.loss(),
                    Text.grouped(test.examples()));
            test.slices()
                    .forEach((slice, accuracies) ->
                            accuracies.forEach((value, accuracy) ->
                                    streams.line(
                                            "  %s %d: %s", slice, value, Text.percent(accuracy))));
        }
        for (var epoch : store.epochs(found.id())) {
            streams.line(
                    "epoch %3d   loss %.4f  validation loss %.4f  accuracy %s  %s",
                    epoch.epoch(),
                    epoch.trainLoss(),
                    epoch.deciding().loss(),
                    Text.percent(epoch.deciding().accuracy()),
                    Text.duration(epoch.seconds()));
        }
        if (found.message() != null) {
            streams.line("failed      %s", found.message());
            streams.line("%s", found.stack() == null ? "" : found.stack().strip());
        }
        streams.line("%s", ConfigFile.indented(found.config()));
    }
}
