package dev.panthera.cli;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.mixer.BlockKind;
import dev.panthera.model.Loss;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.task.BatchOrder;
import dev.panthera.task.Filler;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.TrainConfig.Protocol;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
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
                    list(
                            "--taps",
                            Integer.class,
                            "model.mixer.**.taps",
                            "Taps of the filters of base-conv, by layer, with commas; -1 is as long as the sequence."),
                    whole(
                            "--window",
                            "Positions that sliding-attention sees, its own included.",
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

    /** Which mixers there are; what the other options of the model are depends on them. */
    static final List<ConfigOption> KINDS =
            MODEL.stream()
                    .filter(option ->
                            Set.of("--mixer", "--hybrid", "--state-mixer").contains(option.name))
                    .toList();

    static final List<ConfigOption> DATA =
            List.of(
                    whole("--length", "Tokens of a row, in all splits.", everySplit("task.length")),
                    whole(
                            "--pairs",
                            "Key-value pairs of a row, in all splits.",
                            everySplit("task.pairs")),
                    whole("--passes", "How often the pairs are shown.", everySplit("task.passes")),
                    whole("--vocab", "Number of tokens.", everySplit("task.vocab_size")),
                    whole("--train-examples", "Rows that are trained on.", "data.train.*.examples"),
                    whole(
                            "--validation-examples",
                            "Rows that decide about stopping.",
                            "data.validation.*.examples"),
                    whole(
                            "--test-examples",
                            "Rows that the result is reported on.",
                            "data.test.*.examples"),
                    real(
                            "--power-a",
                            "Exponent of the query distances; 1 is uniform.",
                            everySplit("task.power_a")),
                    new ConfigOption(
                            "--fillers",
                            "random|zero",
                            Filler.class,
                            false,
                            List.of(everySplit("task.filler")),
                            "Tokens where nothing is asked."),
                    one(
                            "--order",
                            "shuffled|fixed",
                            BatchOrder.class,
                            "data.order",
                            "Rows anew in each epoch, or always in the same order."));

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
            List.of(
                    whole("--length", "Tokens of a row.", "data.test.*.task.length"),
                    whole("--pairs", "Key-value pairs of a row.", "data.test.*.task.pairs"),
                    whole("--passes", "How often the pairs are shown.", "data.test.*.task.passes"),
                    whole("--test-examples", "Number of rows.", "data.test.*.examples"),
                    real(
                            "--power-a",
                            "Exponent of the query distances; 1 is uniform.",
                            "data.test.*.task.power_a"),
                    one(
                            "--fillers",
                            "random|zero",
                            Filler.class,
                            "data.test.*.task.filler",
                            "Tokens where nothing is asked."),
                    one("--seed", "N", Long.class, "data.seed", "Of the rows."));

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

    private static String[] everySplit(String key) {
        return new String[] {
            "data.train.*." + key, "data.validation.*." + key, "data.test.*." + key
        };
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
        return list
                ? builder.auxiliaryTypes(type).splitRegex(",").hideParamSyntax(true).build()
                : builder.build();
    }
}
