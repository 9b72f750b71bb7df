package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.sweep.LocalEngine;
import dev.panthera.sweep.Slot;
import dev.panthera.train.DeviceChoice;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of a sweep: the same for {@code panthera run} and for an experiment that is started in another way. */
final class SweepOptions {
    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Folder of the sweep. Default: sweeps/<name>")
    @Nullable Path out;

    @Option(
            names = "--set",
            paramLabel = "K=V,..",
            description =
                    "Varies or sets a key, for example lr=1e-3,1e-2 or data.batch=64; replaces what the sweep says of it.")
    List<String> settings = List.of();

    @Option(
            names = "--only",
            paramLabel = "K=V,..",
            description =
                    "Runs only trials with these values of a factor, for example mixer=attention,hyena.")
    List<String> only = List.of();

    @Option(names = "--scale", paramLabel = "NAME", description = "A size that the sweep offers.")
    String scale = "";

    @Option(
            names = "--dry-run",
            description =
                    "Lists the trials with their sizes and what they will cost, and runs none.")
    boolean dryRun;

    @Option(names = "--retry-failed", description = "Runs trials again that failed.")
    boolean retryFailed;

    @Option(
            names = "--keep-checkpoints",
            description = "Keeps the parameters of finished trials, for panthera eval.")
    boolean keepCheckpoints;

    @Option(
            names = "--device",
            paramLabel = "LIST",
            description = "Where to compute: cpu, auto, or cuda:0,cuda:1. Default: cpu",
            split = ",")
    List<String> devices = List.of("cpu");

    @Option(
            names = "--slots",
            paramLabel = "N",
            description = "Trials at once on each device. Default: one per core; on CUDA one")
    int slots;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads of each trial. Default: the cores divided by the slots")
    int threads;

    @Mixin TrackingMixin tracking = new TrackingMixin();

    @Option(names = "--json", description = "Ends with the numbers of trials as JSON on one line.")
    boolean json;

    /** The local engine that the options describe. */
    LocalEngine localEngine() {
        UserException.require(
                slots >= 0 && slots <= 1024, "--slots %d: 1 to 1024 are possible", slots);
        int cores = Runtime.getRuntime().availableProcessors();
        List<Slot> all = new ArrayList<>();
        for (String device : devices) {
            boolean cpu = new DeviceChoice(device, threads).name().equals("cpu");
            int count = slots > 0 ? slots : cpu ? cores : 1;
            int each = threads > 0 ? threads : Math.max(1, cores / (count * devices.size()));
            for (int i = 0; i < count; i++) {
                all.add(new Slot(device, each));
            }
        }
        return new LocalEngine(all);
    }

    /** Where one trial runs, for estimates. */
    DeviceChoice oneTrial() {
        return new DeviceChoice(devices.getFirst(), Math.max(1, threads));
    }
}
