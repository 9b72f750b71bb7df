package dev.panthera.cli;

import dev.panthera.train.DeviceChoice;
import picocli.CommandLine.Option;

/** The options that choose where a command computes. */
final class DeviceMixin {
    @Option(
            names = "--device",
            paramLabel = "cpu|cuda:N|auto",
            description = "Where to compute; auto is CUDA if it works. Default: cpu")
    private String device = "cpu";

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads of the CPU. Default: one per core")
    private int threads;

    DeviceChoice choice() {
        return new DeviceChoice(device, threads);
    }
}
