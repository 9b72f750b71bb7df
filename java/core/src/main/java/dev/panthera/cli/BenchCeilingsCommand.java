package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.bench.Ceilings;
import dev.panthera.kernels.Backend;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panthera bench ceilings}: what bounds every kernel. */
@Command(
        name = "ceilings",
        sortOptions = false,
        description = "Measures what bounds every kernel on the CPU: arithmetic and memory.")
final class BenchCeilingsCommand implements Callable<Integer> {
    private final Streams streams;

    @Option(names = "--json", description = "Prints a JSON object a line.")
    private boolean json;

    @Mixin private DeviceMixin device = new DeviceMixin();

    BenchCeilingsCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        try (var chosen = device.choice().open()) {
            UserException.require(
                    chosen.device().backend() == Backend.CPU,
                    "--device: only the CPU's ceilings are measured here; benchmarks/gpu-check.sh measures a GPU's");
            Ceilings ceilings = Ceilings.measure(chosen.device());
            String where = chosen.description();
            if (!json) {
                streams.line("%s", where);
            }
            print(where, "fma", "multiply-adds in registers", ceilings.fma(), "gflops");
            print(
                    where,
                    "gemm",
                    "matrix product, %d cubed".formatted(Ceilings.GEMM_SIZE),
                    ceilings.gemm(),
                    "gflops");
            print(where, "copy", "copy, read and written", ceilings.copy(), "gb_per_s");
            print(
                    where,
                    "fresh-pages",
                    "first writes to fresh memory",
                    ceilings.freshPages(),
                    "gb_per_s");
        }
        return Panthera.OK;
    }

    private void print(String where, String name, String meaning, double value, String unit) {
        if (json) {
            streams.line(
                    "%s",
                    new JsonLine()
                            .with("ceiling", name)
                            .with("device", where)
                            .with(unit, BenchLines.rounded(value)));
        } else {
            streams.line(
                    "%-12s %-32s %8.1f %s",
                    name, meaning, value, unit.equals("gflops") ? "GFLOP/s" : "GB/s");
        }
    }
}
