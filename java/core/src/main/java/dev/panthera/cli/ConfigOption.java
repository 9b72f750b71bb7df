package dev.panthera.cli;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.mixer.BlockKind;
import dev.panthera.model.Loss;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.Filler;
import dev.panthera.task.GapLaws;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.TrainConfig.Protocol;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/**
 * An option that stands for keys of the configuration.
 *
 * @param name of the option
 * @param label of its value in the help
 * @param type of its value, or of the elements of a list
 * @param list whether its value is a list, with commas
 * @param keys that it sets, as {@link ConfigDraft} takes them
 * @param description for the help
 */
record ConfigOption(
        String name,
        String label,
        Class<?> type,
        boolean list,
        List<String> keys,
        String description) {
    static final List<ConfigOption> MODEL =
            List.of(
                    text(
                            "--mixer",
                            "NAME",
                            "model.mixer",
                            "Sequence mixer; panthera mixers lists them."),
                    list(
                            "--hybrid",
                            String.class,
                            "model.mixer.configs",
                            "Mixers of a hybrid's layers, with commas."),
                    whole("--layers", "Number of blocks.", "model.layers"),
                    whole("--d-model", "Channels.", "model.d_model"),
                    whole("--heads", "Heads of attention.", "model.mixer.**.heads"),
                    new ConfigOption(
                            "--rotary",
                            "",
                            Boolean.class,
                            false,
                            List.of("model.mixer.**.rotary"),
                            "Rotary positions in attention and based; --positions false leaves the learned ones out."),
                    list(
                            "--taps",
                            Integer.class,
                            "model.mixer.**.taps",
                            "Taps of the filters of base-conv, by layer, with commas; -1 is as long as the sequence."),
                    whole(
                            "--state-size",
                            "Numbers that a channel of mamba or h3 remembers.",
                            "model.mixer.**.state_size"),
                    whole(
                            "--window",
                            "Last positions that sliding-attention and nsa see, and scatterbrain exactly, the own one included.",
                            "model.mixer.**.window"),
                    one(
                            "--conv-method",
                            "auto|direct|fft",
                            ConvMethod.class,
                            "model.mixer.**.method",
                            "How long convolutions are computed."),
                    one(
                            "--block",
                            "auto|transformer|mamba",
                            BlockKind.class,
                            "model.block",
                            "What is around the sequence mixer; auto is what it usually has. A mamba block has no state mixer and no dropout."),
                    text(
                            "--state-mixer",
                            "NAME",
                            "model.state_mixer",
                            "State mixer; panthera mixers lists them."),
                    one(
                            "--positions",
                            "true|false",
                            Boolean.class,
                            "model.positions",
                            "Whether an embedding of positions is learned."),
                    one(
                            "--embedding-init",
                            "default|spherical|normal",
                            EmbeddingInit.class,
                            "model.embedding_init",
                            "What word embeddings start as: N(0, 0.02^2), of length 1, or N(0, 1)."),
                    real(
                            "--dropout",
                            "Of embeddings, and in mixers that have any.",
                            "model.dropout",
                            "model.mixer.**.dropout"));

    static final List<ConfigOption> DATA =
            joined(
                    task("train", "validation", "test"),
                    List.of(
                            whole(
                                    "--train-examples",
                                    "Rows that are trained on.",
                                    "data.train.*.examples"),
                            whole(
                                    "--validation-examples",
                                    "Rows that decide about stopping.",
                                    "data.validation.*.examples"),
                            whole(
                                    "--test-examples",
                                    "Rows that the result is reported on.",
                                    "data.test.*.examples"),
                            one(
                                    "--order",
                                    "shuffled|fixed",
                                    BatchOrder.class,
                                    "data.order",
                                    "Rows anew in each epoch, or always in the same order.")));

    static final List<ConfigOption> TRAINING =
            List.of(
                    one(
                            "--loss",
                            "NAME",
                            Loss.class,
                            "loss",
                            "cross-entropy, cross-entropy-embeddings or mse."),
                    whole(
                            "--epochs",
                            "Most passes over the training rows; the learning rate's period.",
                            "epochs"),
                    whole("--batch", "Rows of a training batch.", "data.batch"),
                    real("--lr", "Learning rate of the first epoch.", "learning_rate"),
                    real("--weight-decay", "Decoupled, on all parameters.", "weight_decay"),
                    real(
                            "--stop-above",
                            "Ends the run once the accuracy is greater; 1 is never.",
                            "stop_above"),
                    one(
                            "--protocol",
                            "validation|published",
                            Protocol.class,
                            "protocol",
                            "Whether validation rows decide about stopping, or the test rows, as was published."),
                    new ConfigOption(
                            "--seed",
                            "N",
                            Long.class,
                            false,
                            List.of("seed", "data.seed"),
                            "Of the model and the data."));

    /** What of the data an evaluation can change. */
    static final List<ConfigOption> TEST_DATA =
            joined(
                    task("test"),
                    List.of(
                            whole("--test-examples", "Number of rows.", "data.test.*.examples"),
                            one("--seed", "N", Long.class, "data.seed", "Of the rows.")));

    /** Which mixers and tasks there are; what the other options can be depends on them. */
    static final List<ConfigOption> KINDS =
            joined(MODEL, DATA).stream()
                    .filter(option ->
                            Set.of("--mixer", "--hybrid", "--state-mixer", "--task")
                                    .contains(option.name))
                    .toList();

    /** The task of some splits, and its options; one of these reaches every task that has it. */
    static List<ConfigOption> task(String... splits) {
        return List.of(
                new ConfigOption(
                        "--task",
                        "NAME",
                        String.class,
                        false,
                        Stream.of(splits).map("data.%s.*.task"::formatted).toList(),
                        "What is learned; panthera tasks lists them."),
                ofTask("--length", "N", Integer.class, "length", "Tokens of a row.", splits),
                ofTask("--vocab", "N", Integer.class, "vocab_size", "Number of tokens.", splits),
                ofTask("--pairs", "N", Integer.class, "pairs", "Key-value pairs of a row.", splits),
                ofTask(
                        "--passes",
                        "N",
                        Integer.class,
                        "passes",
                        "How often the pairs are shown.",
                        splits),
                ofTask(
                        "--shared-mapping",
                        "",
                        Boolean.class,
                        "shared_mapping",
                        "Keys have the same values in all rows.",
                        splits),
                ofTask(
                        "--updates",
                        "N",
                        Integer.class,
                        "updates",
                        "Pairs that get another value.",
                        splits),
                ofTask(
                        "--data-tokens",
                        "N",
                        Integer.class,
                        "data_tokens",
                        "Tokens to be copied.",
                        splits),
                ofTask(
                        "--key-exponent",
                        "X",
                        Double.class,
                        "key_exponent",
                        "The r-th key has weight r^-X.",
                        splits),
                ofTask(
                        "--value-exponent",
                        "X",
                        Double.class,
                        "value_exponent",
                        "The r-th value has weight r^-X.",
                        splits),
                ofTask(
                        "--gap-law",
                        String.join("|", GapLaws.ALL.names()),
                        String.class,
                        "gap_law",
                        "Where the keys are asked.",
                        splits),
                ofTask(
                        "--power-a",
                        "X",
                        Double.class,
                        "power_a",
                        "Exponent of the query distances; 1 is uniform.",
                        splits),
                ofTask(
                        "--gap-ratio",
                        "X",
                        Double.class,
                        "gap_ratio",
                        "Of geometric query distances.",
                        splits),
                ofTask(
                        "--gap",
                        "N",
                        Integer.class,
                        "gap",
                        "Fixed distance of a query from its key.",
                        splits),
                ofTask(
                        "--fillers",
                        "random|zero",
                        Filler.class,
                        "filler",
                        "Tokens where nothing is asked.",
                        splits),
                ofTask(
                        "--as-published",
                        "",
                        Boolean.class,
                        "as_published",
                        "Draws new values by the original's law.",
                        splits));
    }

    private static ConfigOption ofTask(
            String name,
            String label,
            Class<?> type,
            String key,
            String description,
            String... splits) {
        List<String> keys =
                Stream.of(splits)
                        .map(split -> "data.%s.*.task.**.%s".formatted(split, key))
                        .toList();
        return new ConfigOption(name, label, type, false, keys, description);
    }

    private static List<ConfigOption> joined(List<ConfigOption> first, List<ConfigOption> second) {
        return Stream.of(first, second).flatMap(List::stream).toList();
    }

    private static ConfigOption whole(String name, String description, String... keys) {
        return new ConfigOption(name, "N", Integer.class, false, List.of(keys), description);
    }

    private static ConfigOption real(String name, String description, String... keys) {
        return new ConfigOption(name, "X", Double.class, false, List.of(keys), description);
    }

    private static ConfigOption text(String name, String label, String key, String description) {
        return one(name, label, String.class, key, description);
    }

    private static ConfigOption one(
            String name, String label, Class<?> type, String key, String description) {
        return new ConfigOption(name, label, type, false, List.of(key), description);
    }

    private static ConfigOption list(
            String name, Class<?> elements, String key, String description) {
        return new ConfigOption(name, "LIST", elements, true, List.of(key), description);
    }

    /** The name of what it sets, without the way there. */
    String lastKey() {
        String key = keys.getFirst();
        return key.substring(key.lastIndexOf('.') + 1);
    }

    /**
     * Adds a group of options to a command.
     *
     * @param defaults whose values the help names; null: it names none
     */
    static void addTo(
            CommandSpec command,
            String heading,
            List<ConfigOption> options,
            @Nullable ConfigDraft defaults) {
        var group = ArgGroupSpec.builder().validate(false).heading("%n" + heading + "%n");
        for (ConfigOption option : options) {
            group.addArg(
                    option.spec(defaults == null ? "" : defaults.text(option.keys.getFirst())));
        }
        command.addArgGroup(group.build());
    }

    /** Writes the given ones of these options to a draft; returns whether there were any. */
    static boolean apply(List<ConfigOption> options, ParseResult parsed, ConfigDraft draft) {
        boolean any = false;
        for (ConfigOption option : options) {
            Object value = parsed.matchedOptionValue(option.name, null);
            if (value != null) {
                draft.setAll(option.keys, value, option.given(value));
                any = true;
            }
        }
        return any;
    }

    /** The option as it was given. */
    private String given(Object value) {
        String text =
                value instanceof List<?> values
                        ? values.stream().map(String::valueOf).collect(Collectors.joining(","))
                        : value.toString();
        return name + " " + text;
    }

    private OptionSpec spec(String defaultValue) {
        var builder =
                OptionSpec.builder(name)
                        .paramLabel(label)
                        .type(list ? List.class : type)
                        .description(
                                description
                                        + (defaultValue.isEmpty()
                                                ? ""
                                                : " Default: " + defaultValue));
        if (type == Boolean.class && !label.isEmpty()) {
            builder.arity("1");
        }
        return list
                ? builder.auxiliaryTypes(type).splitRegex(",").hideParamSyntax(true).build()
                : builder.build();
    }
}
