package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.bench.PeerPython;
import dev.panthera.bench.StepBench;
import dev.panthera.bench.StepSizes;
import dev.panthera.bench.Timing;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panthera bench step}: the time of a training step. */
@Command(
        name = "step",
        sortOptions = false,
        description = {
            "Measures the training step (forward, loss, backward, AdamW) of a model as in figure 2 on a fixed batch,",
            "after comparing loss and gradients of a smaller batch with the reference's."
        })
final class BenchStepCommand implements Callable<Integer> {
    private static final String DEFAULT = " Default: ${DEFAULT-VALUE}";
    private static final String SCRIPT = "cpu_step.py";

    private static final String LABELLED = "labelled";

    /** Steps after which PyTorch's short steps no longer get faster. */
    private static final int SETTLED = 25;

    /** Steps of the original, each of which takes seconds. */
    private static final int FEWEST = 5;

    /** The mixers of figure 2 that the peer's script knows, in the original's form too. */
    private static final List<String> FIGURE_MIXERS = List.of("attention", "base-conv", "hyena");

    /** Those whose original needs a GPU: they are set beside the best that PyTorch does. */
    private static final List<String> OTHER_MIXERS = List.of("mamba", "based", "rwkv-4", "h3");

    private final Streams streams;

    @Option(
            names = "--mixer",
            paramLabel = "NAME",
            defaultValue = "attention",
            description = "Sequence mixer." + DEFAULT)
    private String mixer;

    @Option(
            names = "--layers",
            paramLabel = "N",
            defaultValue = "2",
            description = "Number of blocks." + DEFAULT)
    private int layers;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "64",
            description = "Sequences." + DEFAULT)
    private int batch;

    @Option(
            names = "--length",
            paramLabel = "N",
            defaultValue = "64",
            description = "Tokens of a sequence." + DEFAULT)
    private int length;

    @Option(
            names = "--pairs",
            paramLabel = "N",
            defaultValue = "4",
            description = "Key-value pairs of a sequence." + DEFAULT)
    private int pairs;

    @Option(
            names = "--d-model",
            paramLabel = "N",
            defaultValue = "64",
            description = "Channels." + DEFAULT)
    private int dModel;

    @Option(
            names = "--vocab",
            paramLabel = "N",
            defaultValue = "8192",
            description = "Number of tokens." + DEFAULT)
    private int vocab;

    @Option(
            names = "--steps",
            paramLabel = "N",
            defaultValue = "9",
            description = "Measured steps, after a warm-up." + DEFAULT)
    private int steps;

    @Option(
            names = "--profile",
            description = "Also measures each operation, which adds a table or lines.")
    private boolean profile;

    @Option(names = "--json", description = "Prints a JSON object a line.")
    private boolean json;

    @Mixin private PeerMixin peers = new PeerMixin();
    @Mixin private DeviceMixin device = new DeviceMixin();

    BenchStepCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        var sizes = new StepSizes(mixer, layers, batch, length, pairs, dModel, vocab);
        var peer = peers.peer();
        UserException.require(
                peer.isEmpty() || FIGURE_MIXERS.contains(mixer) || OTHER_MIXERS.contains(mixer),
                "--peer-python: PyTorch is measured with %s, not with --mixer %s",
                Text.alternatives(
                        Stream.concat(FIGURE_MIXERS.stream(), OTHER_MIXERS.stream()).toList()),
                mixer);
        var result = StepBench.run(sizes, device.choice(), steps);
        if (json) {
            printJson(sizes, result);
        } else {
            printText(result);
        }
        if (peer.isPresent()) {
            printPeers(peer.get(), sizes, result.timing(), result.threads());
        }
        peers.noteAbsence(streams, json);
        return Panthera.OK;
    }

    private void printText(StepBench.Result result) {
        streams.line(
                "%s, %d layers, %d x %d tokens, %d pairs, d_model %d, vocab %d; %s",
                mixer, layers, batch, length, pairs, dModel, vocab, result.device());
        streams.line(
                "panthera                        %9.2f ms a step (least %.2f), %s tokens/s, %.1f GFLOP/s, peak %.0f MB",
                result.timing().medianMs(),
                result.timing().minMs(),
                Text.rate(tokensPerSecond(result)),
                gflops(result),
                result.peakMb());
        if (profile) {
            ProfileTable.print(streams.out(), result.profile());
        }
    }

    private void printJson(StepSizes sizes, StepBench.Result result) {
        var line = describe(new JsonLine(), sizes, result);
        BenchLines.withTiming(line, result.timing())
                .with("tokens_per_s", BenchLines.rounded(tokensPerSecond(result)))
                .with("gflops", BenchLines.rounded(gflops(result)))
                .with("peak_mb", BenchLines.rounded(result.peakMb()));
        streams.line("%s", line);
        if (profile) {
            for (var entry : result.profile().entries()) {
                streams.line(
                        "%s",
                        new JsonLine()
                                .with("profile", entry.name())
                                .with("mixer", mixer)
                                .with(
                                        "share",
                                        BenchLines.rounded(
                                                entry.seconds() / result.profile().seconds()))
                                .with("calls", entry.calls() / steps)
                                .with("ms", BenchLines.rounded(1e3 * entry.seconds() / steps))
                                .with("bytes", Math.round(entry.bytes() / steps))
                                .with("flops", Math.round(entry.flops() / steps)));
            }
        }
    }

    private static JsonLine describe(JsonLine line, StepSizes sizes, StepBench.Result result) {
        return line.with("mixer", sizes.mixer())
                .with("pass", "step")
                .with("layers", sizes.layers())
                .with("batch", sizes.batch())
                .with("length", sizes.length())
                .with("pairs", sizes.pairs())
                .with("d_model", sizes.dModel())
                .with("vocab", sizes.vocab())
                .with("device", result.device());
    }

    private static double tokensPerSecond(StepBench.Result result) {
        return result.tokens() / (1e-3 * result.timing().medianMs());
    }

    private static double gflops(StepBench.Result result) {
        return result.flops() / (1e6 * result.timing().medianMs());
    }

    /** With logits for labelled rows only; before that, of figure 2, as the original does it, with either allocator. */
    private void printPeers(PeerPython python, StepSizes sizes, Timing ours, int threads) {
        if (FIGURE_MIXERS.contains(mixer)) {
            printPeer(python, sizes, ours, threads, "original", false);
            printPeer(python, sizes, ours, threads, "original", true);
        }
        printPeer(python, sizes, ours, threads, LABELLED, true);
    }

    private void printPeer(
            PeerPython python,
            StepSizes sizes,
            Timing ours,
            int threads,
            String form,
            boolean tunedAllocator) {
        var arguments =
                List.of(
                        "--mixer=" + sizes.mixer(),
                        "--form=" + form,
                        "--layers=" + sizes.layers(),
                        "--batch=" + sizes.batch(),
                        "--length=" + sizes.length(),
                        "--pairs=" + sizes.pairs(),
                        "--d-model=" + sizes.dModel(),
                        "--vocab=" + sizes.vocab(),
                        "--threads=" + threads,
                        "--steps=" + (form.equals(LABELLED) ? SETTLED : FEWEST));
        for (Map<String, Object> line : python.run(SCRIPT, arguments, tunedAllocator)) {
            if (json) {
                streams.line("%s", BenchLines.peerLine(line, ours));
            } else {
                streams.line(
                        "%-32s%9.2f ms a step, %.1f times ours",
                        "PyTorch, %s%s".formatted(form, tunedAllocator ? ", tuned allocator" : ""),
                        BenchLines.medianMs(line),
                        BenchLines.medianMs(line) / ours.medianMs());
            }
        }
    }
}
