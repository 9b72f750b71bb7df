package dev.panthera.cli;

import dev.panthera.kernels.Backend;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.Isa;
import dev.panthera.kernels.KernelException;
import dev.panthera.kernels.NativeInfo;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code panthera doctor}: what of this machine Panthera can use, and why not the rest. */
@Command(
        name = "doctor",
        description = "Tells what of this machine can be used, and why not the rest.")
final class DoctorCommand implements Callable<Integer> {
    private static final List<Backend> SHOWN =
            List.of(Backend.CPU, Backend.CUDA, Backend.REFERENCE);

    private final Streams streams;

    @Option(names = "--ops", description = "Lists the operations and where each can run.")
    private boolean ops;

    DoctorCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        fact("panthera", Version.number());
        fact("java", "%s, %s", Runtime.version(), System.getProperty("java.home"));
        try {
            fact("native library", "%s", NativeInfo.path());
        } catch (KernelException failure) {
            fact("native library", "%s", failure.getMessage());
            return Panthera.FAILURE;
        }
        fact("version", "%s, interface %d", NativeInfo.version(), NativeInfo.abiVersion());
        try (var device = Device.cpu()) {
            fact("cpu", "%s, %d threads", device.name(), device.info().threads());
            fact("instructions", "%s", instructions(device.info().isa()));
        }
        fact("GEMM", "%s", NativeInfo.gemmName());
        printCuda();
        fact("operations", "%s", operations());
        if (ops) {
            printOps();
        }
        return Panthera.OK;
    }

    private void fact(String name, String format, Object... arguments) {
        streams.line("%-15s %s", name, Text.format(format, arguments));
    }

    private static String instructions(Isa used) {
        Isa best = NativeInfo.isaAvailable();
        String available =
                Arrays.stream(Isa.values())
                        .filter(isa -> isa != Isa.BEST && isa.compareTo(best) <= 0)
                        .map(DoctorCommand::lowerCase)
                        .collect(Collectors.joining(", "));
        return "%s available, %s used%s"
                .formatted(
                        available,
                        lowerCase(used),
                        used == best ? "" : " (capped by PANTHERA_MAX_ISA)");
    }

    private void printCuda() {
        var problem = NativeInfo.backendProblem(Backend.CUDA);
        if (problem.isPresent()) {
            fact("cuda", "%s", problem.get());
            return;
        }
        for (int i = 0; i < NativeInfo.deviceCount(Backend.CUDA); i++) {
            fact("cuda:" + i, "%s", cuda(i));
        }
    }

    /** A device that is busy or too old has its reason for a description; the others are still of use. */
    private static String cuda(int index) {
        try (var device = Device.cuda(index)) {
            var info = device.info();
            return Text.format(
                    "%s, compute capability %d.%d, %.0f GiB, GEMM by %s",
                    info.name(),
                    info.computeCapability() / 10,
                    info.computeCapability() % 10,
                    info.totalBytes() / (double) (1L << 30),
                    device.gemmName());
        } catch (KernelException refused) {
            return "cannot be used: " + refused.getMessage();
        }
    }

    private static String operations() {
        var all = NativeInfo.ops();
        return SHOWN.stream()
                        .map(backend ->
                                Text.format(
                                        "%s %d",
                                        lowerCase(backend),
                                        all.stream()
                                                .filter(op -> op.backends().contains(backend))
                                                .count()))
                        .collect(Collectors.joining(", "))
                + Text.format(" of %d (--ops lists them)", all.size());
    }

    private void printOps() {
        streams.line("");
        streams.line("%s", tableRow("operation", DoctorCommand::lowerCase));
        for (var op : NativeInfo.ops()) {
            streams.line(
                    "%s",
                    tableRow(op.name(), backend -> op.backends().contains(backend) ? "yes" : "-"));
        }
    }

    private static String tableRow(String name, Function<Backend, String> cell) {
        return Text.format("%-28s", name)
                + SHOWN.stream()
                        .map(backend -> Text.format("%11s", cell.apply(backend)))
                        .collect(Collectors.joining());
    }

    private static String lowerCase(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }
}
