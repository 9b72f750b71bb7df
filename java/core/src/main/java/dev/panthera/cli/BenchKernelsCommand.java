package dev.panthera.cli;

import dev.panthera.bench.Ceilings;
import dev.panthera.bench.KernelBench;
import dev.panthera.bench.KernelSizes;
import dev.panthera.bench.PeerPython;
import dev.panthera.kernels.Backend;
import dev.panthera.kernels.KernelException;
import dev.panthera.train.DeviceTrouble;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panthera bench kernels}: times of single operations. */
@Command(
        name = "kernels",
        sortOptions = false,
        description = {
            "Measures operations, forward and with backward, after comparing their results with the",
            "double-precision reference's. Exit code 1 if they differ."
        })
final class BenchKernelsCommand implements Callable<Integer> {
    private static final String DEFAULT = " Default: ${DEFAULT-VALUE}";
    private static final String SCRIPT = "cpu_kernels.py";

    private final Streams streams;

    @Option(
            names = "--op",
            paramLabel = "NAME",
            description =
                    "long-conv, short-conv, attention, selected-attention, sparse-attention, pooled-attention, linear, norm, gate, dropout, embedding or vocabulary-loss. Default: all")
    private @Nullable String op;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "16",
            description = "Sequences." + DEFAULT)
    private int batch;

    @Option(
            names = "--length",
            paramLabel = "N",
            defaultValue = "1024",
            description = "Positions of a sequence." + DEFAULT)
    private int length;

    @Option(
            names = "--channels",
            paramLabel = "N",
            defaultValue = "256",
            description = "Channels of a position." + DEFAULT)
    private int channels;

    @Option(
            names = "--heads",
            paramLabel = "N",
            defaultValue = "4",
            description = "Heads of attention." + DEFAULT)
    private int heads;

    @Option(
            names = "--taps",
            paramLabel = "N",
            defaultValue = "3",
            description =
                    "Taps of the short convolution; a long one has as many as positions." + DEFAULT)
    private int taps;

    @Option(
            names = "--vocab",
            paramLabel = "N",
            defaultValue = "8192",
            description = "Tokens of embedding and vocabulary loss." + DEFAULT)
    private int vocab;

    @Option(
            names = "--chosen",
            paramLabel = "N",
            defaultValue = "64",
            description =
                    "Positions of a sequence that attend in selected attention, evenly spread."
                            + DEFAULT)
    private int chosen;

    @Option(names = "--json", description = "Prints a JSON object a line.")
    private boolean json;

    @Mixin private PeerMixin peers = new PeerMixin();
    @Mixin private DeviceMixin device = new DeviceMixin();

    BenchKernelsCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        int usedHeads = op == null || op.endsWith("attention") ? heads : 1;
        var sizes = new KernelSizes(batch, length, channels, usedHeads, taps, vocab, chosen);
        List<String> names = op == null ? KernelBench.names() : List.of(KernelBench.checked(op));
        var peer = peers.peer();
        try (var opened = device.choice().open()) {
            var ceilings =
                    opened.device().backend() == Backend.CPU
                            ? Ceilings.measure(opened.device())
                            : null;
            String where = opened.description();
            if (!json) {
                streams.line("%s; %d x %d x %d", where, batch, length, channels);
                streams.line(
                        "%-20s%-18s%11s%11s%9s%8s%12s   %s",
                        "operation",
                        "pass",
                        "median ms",
                        "least ms",
                        "GFLOP/s",
                        "GB/s",
                        "of ceiling",
                        peer.isPresent() ? "PyTorch, ms (times ours)" : "");
            }
            for (String name : names) {
                var results = KernelBench.run(opened.device(), name, sizes);
                print(
                        name,
                        sizes,
                        where,
                        ceilings,
                        results,
                        peer,
                        opened.device().info().threads());
            }
        } catch (KernelException.OutOfMemory | KernelException.DeviceFailure trouble) {
            throw DeviceTrouble.explain(trouble);
        }
        peers.noteAbsence(streams, json);
        return Panthera.OK;
    }

    private void print(
            String name,
            KernelSizes sizes,
            String where,
            @Nullable Ceilings ceilings,
            List<KernelBench.Result> results,
            Optional<PeerPython> peer,
            int threads) {
        List<Map<String, Object>> lines =
                peer.map(python -> peerLines(python, name, sizes, threads)).orElse(List.of());
        for (var result : results) {
            List<Map<String, Object>> same =
                    lines.stream().filter(line -> result.pass().equals(line.get("pass"))).toList();
            if (json) {
                streams.line("%s", jsonLine(name, sizes, where, ceilings, result));
                for (var line : same) {
                    streams.line("%s", BenchLines.peerLine(line, result.timing()));
                }
            } else {
                streams.line("%s", row(name, ceilings, result, same));
            }
        }
    }

    private static List<Map<String, Object>> peerLines(
            PeerPython python, String name, KernelSizes sizes, int threads) {
        var arguments =
                List.of(
                        "--op=" + name,
                        "--batch=" + sizes.batch(),
                        "--length=" + sizes.length(),
                        "--channels=" + sizes.channels(),
                        "--heads=" + sizes.heads(),
                        "--taps=" + sizes.taps(),
                        "--vocab=" + sizes.vocab(),
                        "--chosen=" + sizes.chosen(),
                        "--rounds=7",
                        "--threads=" + threads);
        List<Map<String, Object>> lines = new ArrayList<>(python.run(SCRIPT, arguments, false));
        lines.addAll(python.run(SCRIPT, arguments, true));
        return lines;
    }

    private static JsonLine jsonLine(
            String name,
            KernelSizes sizes,
            String where,
            @Nullable Ceilings ceilings,
            KernelBench.Result result) {
        var line =
                new JsonLine()
                        .with("op", name)
                        .with("pass", result.pass())
                        .with("batch", sizes.batch())
                        .with("length", sizes.length())
                        .with("channels", sizes.channels())
                        .with("heads", sizes.heads())
                        .with("taps", sizes.taps())
                        .with("vocab", sizes.vocab())
                        .with("chosen", sizes.chosen())
                        .with("device", where);
        BenchLines.withTiming(line, result.timing())
                .with("gflops", BenchLines.rounded(result.gflops()))
                .with("gb_per_s", BenchLines.rounded(result.gigabytesPerSecond()));
        if (ceilings != null) {
            line.with("share_of_ceiling", BenchLines.rounded(share(ceilings, result)));
        }
        return line.with("peak_mb", BenchLines.rounded(result.peakMb()));
    }

    private static double share(Ceilings ceilings, KernelBench.Result result) {
        return ceilings.share(result.gflops(), result.gigabytesPerSecond());
    }

    private static String row(
            String name,
            @Nullable Ceilings ceilings,
            KernelBench.Result result,
            List<Map<String, Object>> peerLines) {
        var row =
                new StringBuilder(
                        Text.format(
                                "%-20s%-18s%11.3f%11.3f%9s%8.1f%12s  ",
                                name,
                                result.pass(),
                                result.timing().medianMs(),
                                result.timing().minMs(),
                                result.flops() == 0 ? "-" : Text.format("%.1f", result.gflops()),
                                result.gigabytesPerSecond(),
                                ceilings == null
                                        ? "-"
                                        : Text.format("%.0f %%", 100 * share(ceilings, result))));
        for (var line : peerLines) {
            row.append(
                    Text.format(
                            " %s %.2f (%.1f)",
                            line.get("allocator"),
                            BenchLines.medianMs(line),
                            BenchLines.medianMs(line) / result.timing().medianMs()));
        }
        return row.toString().stripTrailing();
    }
}
