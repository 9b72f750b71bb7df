package dev.panthera.cli;

import dev.panthera.parity.Parity;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code panthera parity}: our results against recorded ones. */
@Command(
        name = "parity",
        description = {
            "Compares with tensors that were recorded from the original implementation.",
            "Exit code 1 if any case failed."
        })
final class ParityCommand implements Callable<Integer> {
    private final Streams streams;

    @Parameters(
            paramLabel = "DIR",
            description = "Folder of golden safetensors files, searched with its folders.")
    private Path folder;

    @Mixin private DeviceMixin device = new DeviceMixin();

    ParityCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        return Parity.run(folder, device.choice(), streams.out());
    }
}
