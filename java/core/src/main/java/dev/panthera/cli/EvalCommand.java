package dev.panthera.cli;

import dev.panthera.train.Checkpoint;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.DataOptions;
import dev.panthera.train.Evaluation;
import dev.panthera.train.Evaluator;
import dev.panthera.train.TrainConfig;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code panthera eval}: a trained model on its own test rows or on others. */
@Command(
        name = "eval",
        sortOptions = false,
        abbreviateSynopsis = true,
        description = "Tests a trained model, on the test rows of its run or on others.")
final class EvalCommand implements Callable<Integer> {
    private final Streams streams;

    @Parameters(paramLabel = "CHECKPOINT", description = "Folder of a run, or its checkpoint file.")
    private Path checkpoint;

    @Option(names = "--json", description = "Prints the result as JSON on one line.")
    private boolean json;

    @Mixin private DeviceMixin device = new DeviceMixin();

    @Spec private CommandSpec spec;

    private EvalCommand(Streams streams) {
        this.streams = streams;
    }

    static CommandLine commandLine(Streams streams) {
        var commandLine = new CommandLine(new EvalCommand(streams));
        ConfigOption.addTo(
                commandLine.getCommandSpec(),
                "Test rows (default: as in the run):",
                ConfigOption.TEST_DATA,
                null);
        return commandLine;
    }

    @Override
    public Integer call() {
        Path file = Checkpoint.locate(checkpoint);
        TrainConfig config = Checkpoint.readConfig(file);
        DataOptions data = data(config);
        try (var chosen = device.choice().open()) {
            String where = chosen.description();
            Evaluation evaluation = Evaluator.evaluate(file, chosen.device(), data);
            if (json) {
                printJson(file, config, evaluation, where);
            } else {
                print(config, evaluation, data, where);
            }
        }
        return Panthera.OK;
    }

    private void printJson(Path file, TrainConfig config, Evaluation evaluation, String where) {
        streams.line(
                "%s",
                new JsonLine()
                        .with("accuracy", evaluation.accuracy())
                        .with("causal", config.model().mixer().causal())
                        .with("loss", evaluation.loss())
                        .with("examples", evaluation.examples())
                        .with("slices", evaluation.slices())
                        .with("checkpoint", file.toString())
                        .with("device", where));
    }

    private DataOptions data(TrainConfig config) {
        var draft = ConfigDraft.of(config);
        boolean any =
                ConfigOption.apply(
                        ConfigOption.TEST_DATA, spec.commandLine().getParseResult(), draft);
        if (any) { // The training rows are not made here, so they need not be possible with the new
            // options.
            draft.setYaml("data.train", draft.text("data.test")).setYaml("data.validation", "[]");
        }
        return draft.toConfig().data();
    }

    private void print(TrainConfig config, Evaluation evaluation, DataOptions data, String where) {
        streams.line(
                "accuracy %s%s  loss %.4f  (%s examples%s)  on %s",
                Text.percent(evaluation.accuracy()),
                Summary.mark(config),
                evaluation.loss(),
                Text.grouped(evaluation.examples()),
                Summary.byChance(data.testChance()),
                where);
        evaluation
                .slices()
                .forEach((slice, accuracies) ->
                        accuracies.forEach((value, accuracy) ->
                                streams.line("  %s %d: %s", slice, value, Text.percent(accuracy))));
    }
}
