package dev.panthera.cli;

import dev.panthera.bench.DecodeBench;
import dev.panthera.bench.DecodeSizes;
import dev.panthera.mixer.Mixers;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panthera bench decode}: how fast models generate, and what they keep for it. */
@Command(
        name = "decode",
        sortOptions = false,
        description =
                "Measures generation, one token of each sequence at a time, and the state that a sequence keeps, after"
                        + " comparing the logits of steps with those that the reference computes of whole sequences. Models are"
                        + " those of figure 2.")
final class BenchDecodeCommand implements Callable<Integer> {
    private static final String DEFAULT = " Default: ${DEFAULT-VALUE}";

    /** Columns of characters before the speeds; with three of these a line has 79. */
    private static final int NAME_AND_STATES = 18 + 13 + 13;

    private final Streams streams;

    @Option(
            names = "--mixer",
            paramLabel = "LIST",
            split = ",",
            description = "Sequence mixers, with commas. Default: all")
    private List<String> mixers = List.of();

    @Option(
            names = "--positions",
            paramLabel = "LIST",
            split = ",",
            defaultValue = "128,1024,4096",
            description =
                    "After how many tokens of a sequence it is measured, with commas." + DEFAULT)
    private List<Integer> positions = List.of();

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "1",
            description = "Sequences." + DEFAULT)
    private int batch;

    @Option(
            names = "--layers",
            paramLabel = "N",
            defaultValue = "2",
            description = "Number of blocks." + DEFAULT)
    private int layers;

    @Option(
            names = "--d-model",
            paramLabel = "N",
            defaultValue = "64",
            description = "Channels." + DEFAULT)
    private int dModel;

    @Option(
            names = "--vocab",
            paramLabel = "N",
            defaultValue = "256",
            description = "Number of tokens." + DEFAULT)
    private int vocab;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "32",
            description = "Measured tokens of a sequence at each position." + DEFAULT)
    private int steps;

    @Option(names = "--json", description = "Prints a JSON object a line.")
    private boolean json;

    @Mixin private DeviceMixin device = new DeviceMixin();

    BenchDecodeCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        boolean first = true;
        for (String mixer : mixers.isEmpty() ? Mixers.SEQUENCE.names() : mixers) {
            var sizes = new DecodeSizes(mixer, layers, batch, dModel, vocab);
            var result = DecodeBench.run(sizes, device.choice(), positions, steps);
            if (json) {
                printJson(sizes, result);
            } else {
                if (first) {
                    printHeading(result);
                }
                printText(sizes, result);
            }
            first = false;
        }
        return Panthera.OK;
    }

    private void printHeading(DecodeBench.Result result) {
        streams.line(
                "%d x 1 token a step, %d layers, d_model %d, vocab %d; %s",
                batch, layers, dModel, vocab, result.device());
        var heading =
                new StringBuilder(
                        Text.format("%-18s%13s%13s", "mixer", "state, bytes", "as published"));
        String unit = "tokens/s ";
        for (int position : positions) {
            heading.append(column(heading.length(), unit + "at " + position));
            unit = "";
        }
        streams.line("%s", heading);
    }

    /** State sizes are those at the last position. */
    private void printText(DecodeSizes sizes, DecodeBench.Result result) {
        var last = result.points().getLast();
        boolean same = last.stateBytes() == last.publishedStateBytes();
        var row =
                new StringBuilder(
                        Text.format(
                                "%-18s%13s%13s",
                                sizes.mixer(),
                                Text.grouped(last.stateBytes()),
                                same ? "the same" : Text.grouped(last.publishedStateBytes())));
        for (var point : result.points()) {
            row.append(column(row.length(), Text.rate(tokensPerSecond(point))));
        }
        streams.line("%s", row);
    }

    /** The first of the columns of speeds has their unit in its heading, and is wider. */
    private static String column(int place, String text) {
        return Text.format(place == NAME_AND_STATES ? "%17s" : "%9s", text);
    }

    private void printJson(DecodeSizes sizes, DecodeBench.Result result) {
        for (var point : result.points()) {
            var line =
                    new JsonLine()
                            .with("mixer", sizes.mixer())
                            .with("pass", "decode")
                            .with("position", point.position())
                            .with("layers", layers)
                            .with("batch", batch)
                            .with("d_model", dModel)
                            .with("vocab", vocab)
                            .with("device", result.device())
                            .with("kept_state_bytes", point.stateBytes())
                            .with("state_bytes", point.publishedStateBytes());
            BenchLines.withTiming(line, point.timing())
                    .with("tokens_per_s", BenchLines.rounded(tokensPerSecond(point)));
            streams.line("%s", line);
        }
    }

    private double tokensPerSecond(DecodeBench.Point point) {
        return batch / (1e-3 * point.timing().medianMs());
    }
}
