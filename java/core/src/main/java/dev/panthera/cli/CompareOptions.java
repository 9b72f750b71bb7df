package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.compare.ComparisonPlan;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.task.Tasks;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** What is compared, as a user says it. */
final class CompareOptions {
    /** Said here of several mixers or learning rates, or in another way. */
    private static final Set<String> OTHERWISE = Set.of("--mixer", "--task", "--lr");

    private static final List<ConfigOption> MODEL = without(ConfigOption.MODEL);
    private static final List<ConfigOption> DATA = without(ConfigOption.DATA);
    private static final List<ConfigOption> TRAINING = without(ConfigOption.TRAINING);

    /** What a mixer may have, and another may not. */
    private static final String OF_MIXERS = "model.mixer.";

    private static final int DEFAULT_LONGEST = 1024;
    private static final int UNSAID = Integer.MIN_VALUE;

    @Option(
            names = "--mixers",
            paramLabel = "LIST",
            split = ",",
            hideParamSyntax = true,
            description =
                    "Sequence mixers, with commas; panthera mixers lists them. Default: attention,base-conv,hyena")
    private List<String> mixers = List.of("attention", "base-conv", "hyena");

    @Option(
            names = "--task",
            paramLabel = "NAME",
            description = "What they are trained on; panthera tasks lists them. Default: mqar")
    private String task = "mqar";

    @Option(
            names = "--lr",
            paramLabel = "LIST",
            split = ",",
            hideParamSyntax = true,
            description =
                    "Learning rates of which each mixer's best counts, with commas. Default: 1e-3,2e-3,3e-3")
    private List<Double> learningRates = List.of(1e-3, 2e-3, 3e-3);

    @Option(
            names = "--max-length",
            paramLabel = "N",
            description =
                    "Times training steps at the lengths 64, 128, ... up to this; 0 times none. Default: 1024, or as far as a minute goes")
    private int longest = UNSAID;

    @Option(
            names = "--tokens",
            paramLabel = "N",
            description = "Tokens of a batch whose step is timed. Default: 8192")
    private int tokens = 8192;

    /** Adds those options that stand for keys of the configuration. */
    static void addTo(CommandSpec command) {
        ConfigDraft defaults = ConfigDraft.of(base());
        ConfigOption.addTo(command, "Models:", MODEL, defaults);
        ConfigOption.addTo(command, "Data:", DATA, defaults);
        ConfigOption.addTo(command, "Training:", TRAINING, defaults);
    }

    private static List<ConfigOption> without(List<ConfigOption> options) {
        return options.stream().filter(option -> !OTHERWISE.contains(option.name())).toList();
    }

    /** Attention recalls here, and others do not, within a minute or two on two cores. */
    private static TrainConfig base() {
        return ConfigDraft.of(Presets.named(Presets.DEFAULT))
                .setAll(everySplit("length"), 32)
                .setAll(everySplit("vocab_size"), 128)
                .set("epochs", 8)
                .set("stop_above", 0.99)
                .toConfig();
    }

    private static List<String> everySplit(String key) {
        return Stream.of("train", "validation", "test")
                .map(split -> "data.%s.*.task.%s".formatted(split, key))
                .toList();
    }

    /** Whether lengths may be left out that would take long. */
    boolean inAMinute() {
        return longest == UNSAID;
    }

    ComparisonPlan plan(ParseResult parsed) {
        UserException.require(
                Tasks.ALL.contains(task),
                "--task %s: there is no such task; choose from %s",
                task,
                String.join(", ", Tasks.ALL.names()));
        var draft = ConfigDraft.of(base());
        if (!task.equals(draft.text("data.test.*.task"))) {
            Stream.of("train", "validation", "test")
                    .forEach(split -> draft.set("data." + split + ".*.task", task));
        }
        Stream.of(DATA, TRAINING).forEach(options -> ConfigOption.apply(options, parsed, draft));
        ConfigOption.apply(
                MODEL.stream().filter(option -> !isOfMixers(option)).toList(), parsed, draft);
        TrainConfig base = draft.toConfig();
        return new ComparisonPlan(
                base,
                configs(base, parsed),
                learningRates,
                ComparisonPlan.lengthsUpTo(longest()),
                tokens);
    }

    private int longest() {
        UserException.require(
                tokens >= ComparisonPlan.SHORTEST,
                "--tokens %d: a batch must hold at least one row of length %d; try 8192",
                tokens,
                ComparisonPlan.SHORTEST);
        return longest == UNSAID
                ? Math.min(DEFAULT_LONGEST, Integer.highestOneBit(tokens))
                : longest;
    }

    private static boolean isOfMixers(ConfigOption option) {
        return option.keys().getFirst().startsWith(OF_MIXERS);
    }

    /** The mixers with those options that they have; each option must be one of some mixer. */
    private Map<String, MixerConfig> configs(TrainConfig base, ParseResult parsed) {
        Map<String, MixerConfig> configs = new LinkedHashMap<>();
        var unused =
                new ArrayList<>(
                        mixerOptions(parsed).stream().filter(CompareOptions::isOfMixers).toList());
        var names = new HashSet<String>();
        for (String name : mixers) {
            UserException.require(
                    Mixers.SEQUENCE.contains(name),
                    "--mixers %s: there is no such mixer; choose from %s",
                    name,
                    String.join(", ", Mixers.SEQUENCE.names()));
            UserException.require(
                    names.add(name), "--mixers %s: it is there twice; leave one out", name);
            var draft = ConfigDraft.of(base).set("model.mixer", Mixers.SEQUENCE.named(name));
            for (ConfigOption option : mixerOptions(parsed)) {
                List<String> keys =
                        option.keys().stream()
                                .filter(key -> key.startsWith(OF_MIXERS))
                                .filter(key -> !draft.text(key).isEmpty())
                                .toList();
                if (!keys.isEmpty()) {
                    Object value = parsed.matchedOptionValue(option.name(), null);
                    draft.setAll(keys, value);
                    unused.remove(option);
                }
            }
            configs.put(name, draft.toConfig().model().mixer());
        }
        UserException.require(
                unused.isEmpty(),
                "%s: none of the mixers %s has such an option; leave it out",
                unused.isEmpty() ? "" : unused.getFirst().name(),
                String.join(", ", mixers));
        return configs;
    }

    /** Given options that reach into mixers, some of which also say something of the model as a whole. */
    private static List<ConfigOption> mixerOptions(ParseResult parsed) {
        return MODEL.stream()
                .filter(option -> option.keys().stream().anyMatch(key -> key.startsWith(OF_MIXERS)))
                .filter(option -> parsed.hasMatchedOption(option.name()))
                .toList();
    }
}
