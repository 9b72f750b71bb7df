package dev.panthera.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code panthera bench}: how fast this machine is, and how fast Panthera and PyTorch are on it. */
@Command(
        name = "bench",
        synopsisSubcommandLabel = "WHAT",
        description =
                "Measures kernels, training steps, generation, the making of data, and what the machine can do at most.")
final class BenchCommand implements Runnable {
    @Spec private CommandSpec spec;

    private BenchCommand() {}

    static CommandLine commandLine(Streams streams) {
        return new CommandLine(new BenchCommand())
                .addSubcommand("kernels", new BenchKernelsCommand(streams))
                .addSubcommand("step", new BenchStepCommand(streams))
                .addSubcommand("decode", new BenchDecodeCommand(streams))
                .addSubcommand("data", new BenchDataCommand(streams))
                .addSubcommand("ceilings", new BenchCeilingsCommand(streams));
    }

    /** Without a subject, there is nothing to do but to tell which ones exist. */
    @Override
    public void run() {
        spec.commandLine().usage(spec.commandLine().getOut());
    }
}
