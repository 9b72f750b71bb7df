package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.tensor.StepProfile;
import dev.panthera.track.TrackingOptions;
import dev.panthera.train.Checkpoint;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import dev.panthera.train.RunOptions;
import dev.panthera.train.TrainConfig;
import dev.panthera.train.TrainResult;
import dev.panthera.train.Trainer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** {@code panthera train}: a configuration from preset, file and options, then the run. */
@Command(
        name = "train",
        sortOptions = false,
        abbreviateSynopsis = true,
        description = {
            "Trains a model on a task, such as multi-query associative recall, and tests it.",
            "Values come from the preset, then the file, then --set, then the options below."
        },
        optionListHeading = "%nThe run:%n")
final class TrainCommand implements Callable<Integer> {
    private static final List<ConfigOption> CONFIG_OPTIONS =
            Stream.of(ConfigOption.MODEL, ConfigOption.DATA, ConfigOption.TRAINING)
                    .flatMap(List::stream)
                    .toList();

    private final Streams streams;

    @Option(
            names = "--preset",
            paramLabel = "NAME",
            description = "default, zoology-basic or figure-2.")
    private @Nullable String preset;

    @Option(
            names = "--config",
            paramLabel = "FILE",
            description = "YAML or JSON with the keys that differ.")
    private @Nullable Path config;

    @Option(
            names = "--set",
            paramLabel = "K=V",
            description =
                    "Sets a key of the configuration, for example data.batch=64; --data.batch=64 is the same.")
    private List<String> settings = List.of();

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Folder of the run. Default: runs/<mixer>-<time>")
    private @Nullable Path out;

    @Option(
            names = "--resume",
            paramLabel = "DIR",
            description = "Goes on with an interrupted run.")
    private @Nullable Path resume;

    @Option(
            names = "--json",
            description = "Ends standard output with the result as JSON on one line.")
    private boolean json;

    @Option(
            names = "--profile",
            description = "Ends with a table of where the training steps' time went.")
    private boolean profile;

    @Mixin private TrackingMixin tracking = new TrackingMixin();

    @Mixin private DeviceMixin device = new DeviceMixin();

    @Spec private CommandSpec spec;

    private TrainCommand(Streams streams) {
        this.streams = streams;
    }

    static CommandLine commandLine(Streams streams) {
        var commandLine = new CommandLine(new TrainCommand(streams));
        var defaults = ConfigDraft.of(Presets.named(Presets.DEFAULT));
        var spec = commandLine.getCommandSpec();
        ConfigOption.addTo(spec, "Model:", ConfigOption.MODEL, defaults);
        ConfigOption.addTo(spec, "Data:", ConfigOption.DATA, defaults);
        ConfigOption.addTo(spec, "Training:", ConfigOption.TRAINING, defaults);
        return commandLine;
    }

    @Override
    public Integer call() {
        TrackingOptions tracked = tracking.options();
        TrainConfig chosen = resume == null ? newConfig() : resumedConfig(resume);
        Path folder = resume == null ? RunFolder.choose(out, chosen.model().mixerLabel()) : resume;
        var log = json ? streams.err() : streams.out();
        var progress = new Progress(chosen, log, streams.terminal() && !json, System::nanoTime);
        var measured = profile ? new StepProfile() : null;
        try (var interruption = new Interruption()) {
            var options =
                    new RunOptions(
                            device.choice(),
                            folder,
                            resume != null,
                            interruption::requested,
                            measured,
                            tracked.sinks(
                                    RunFolder.name(folder),
                                    line -> {
                                        progress.clear();
                                        Streams.line(streams.err(), "panthera: %s", line);
                                    }));
            TrainResult result;
            try {
                result = Trainer.run(chosen, options, progress);
            } finally {
                progress.clear();
            }
            var summary = new Summary(chosen, result, folder);
            summary.print(log);
            if (measured != null) {
                ProfileTable.print(log, measured);
            }
            if (json && result.test() != null) {
                streams.line("%s", summary.json(result.test()));
            }
            return result.ending() == TrainResult.Ending.INTERRUPTED
                    ? Panthera.INTERRUPTED
                    : Panthera.OK;
        }
    }

    private TrainConfig newConfig() {
        ParseResult parsed = spec.commandLine().getParseResult();
        var base = Presets.named(preset == null ? Presets.DEFAULT : preset);
        String chosenMixer = parsed.matchedOptionValue("--mixer", base.model().mixerLabel());
        var draft =
                ConfigDraft.of(
                        Presets.named(preset == null ? Presets.DEFAULT : preset, chosenMixer));
        chooseKinds(parsed, draft);
        if (config != null) {
            draft.merge(config);
        }
        for (String setting : settings) {
            int equals = setting.indexOf('=');
            UserException.require(
                    equals > 0,
                    "--set %s: it must be a key and a value, for example data.batch=64",
                    setting);
            draft.setYaml(setting.substring(0, equals), setting.substring(equals + 1));
        }
        chooseKinds(parsed, draft);
        ConfigOption.apply(CONFIG_OPTIONS, parsed, draft);
        return draft.toConfig();
    }

    /** Before files and settings, which may hold options of the chosen mixers and tasks, and after them, since options beat them. */
    private static void chooseKinds(ParseResult parsed, ConfigDraft draft) {
        if (parsed.hasMatchedOption("--hybrid")) {
            String mixer = parsed.matchedOptionValue("--mixer", "hybrid");
            UserException.require(
                    mixer.equals("hybrid"),
                    "--hybrid: it lists the mixers of --mixer hybrid, not of %s",
                    mixer);
            draft.set("model.mixer", mixer);
        }
        ConfigOption.apply(ConfigOption.KINDS, parsed, draft);
    }

    private TrainConfig resumedConfig(Path folder) {
        ParseResult parsed = spec.commandLine().getParseResult();
        Stream.concat(
                        Stream.of("--preset", "--config", "--set", "--out"),
                        CONFIG_OPTIONS.stream().map(ConfigOption::name))
                .filter(parsed::hasMatchedOption)
                .findFirst()
                .ifPresent(option -> {
                    throw new UserException(
                            "%s: a resumed run keeps its configuration and folder; leave the option out"
                                    .formatted(option));
                });
        UserException.require(
                !Files.isRegularFile(folder),
                "--resume %s: it is a file; name the run's folder",
                folder);
        return Checkpoint.readConfig(Checkpoint.locate(folder));
    }
}
