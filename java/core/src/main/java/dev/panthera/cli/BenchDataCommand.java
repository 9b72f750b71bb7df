package dev.panthera.cli;

import dev.panthera.bench.DataBench;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panthera bench data}: the time of making rows. */
@Command(
        name = "data",
        sortOptions = false,
        description = "Measures the making of rows of multi-query associative recall.")
final class BenchDataCommand implements Callable<Integer> {
    private static final String DEFAULT = " Default: ${DEFAULT-VALUE}";
    private static final String SCRIPT = "mqar_data.py";

    private final Streams streams;

    @Option(
            names = "--examples",
            paramLabel = "N",
            defaultValue = "100000",
            description = "Rows." + DEFAULT)
    private int examples;

    @Option(
            names = "--length",
            paramLabel = "N",
            defaultValue = "64",
            description = "Tokens of a row." + DEFAULT)
    private int length;

    @Option(
            names = "--pairs",
            paramLabel = "N",
            defaultValue = "4",
            description = "Key-value pairs." + DEFAULT)
    private int pairs;

    @Option(
            names = "--vocab",
            paramLabel = "N",
            defaultValue = "8192",
            description = "Number of tokens." + DEFAULT)
    private int vocab;

    @Option(names = "--json", description = "Prints a JSON object a line.")
    private boolean json;

    @Mixin private PeerMixin peers = new PeerMixin();

    BenchDataCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        var peer = peers.peer();
        var result = DataBench.run(examples, length, pairs, vocab);
        double perSecond = examples / (1e-3 * result.timing().medianMs());
        if (json) {
            var line =
                    new JsonLine()
                            .with("task", "mqar")
                            .with("examples", examples)
                            .with("length", length)
                            .with("pairs", pairs)
                            .with("vocab", vocab);
            BenchLines.withTiming(line, result.timing())
                    .with("first_ms", BenchLines.rounded(result.first()))
                    .with("examples_per_s", BenchLines.rounded(perSecond))
                    .with("peak_mb", BenchLines.rounded(result.peakMb()));
            streams.line("%s", line);
        } else {
            streams.line(
                    "panthera  %9.1f ms for %d rows (first time %.1f), %s rows/s, peak %.0f MB",
                    result.timing().medianMs(),
                    examples,
                    result.first(),
                    Text.rate(perSecond),
                    result.peakMb());
        }
        if (peer.isPresent()) {
            var arguments =
                    List.of(
                            "--examples=" + examples,
                            "--length=" + length,
                            "--pairs=" + pairs,
                            "--vocab=" + vocab);
            for (var line : peer.get().run(SCRIPT, arguments, false)) {
                if (json) {
                    streams.line("%s", BenchLines.peerLine(line, result.timing()));
                } else {
                    streams.line(
                            "original  %9.1f ms, %.0f times ours",
                            BenchLines.medianMs(line),
                            BenchLines.medianMs(line) / result.timing().medianMs());
                }
            }
        }
        peers.noteAbsence(streams, json);
        return Panthera.OK;
    }
}
