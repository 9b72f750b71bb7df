package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.sweep.Engine;
import dev.panthera.sweep.EngineProviders;
import dev.panthera.sweep.EngineSetting;
import dev.panthera.sweep.ExperimentJar;
import dev.panthera.sweep.LocalEngine;
import dev.panthera.sweep.Slot;
import dev.panthera.sweep.Trial;
import dev.panthera.sweep.TrialMemory;
import dev.panthera.train.DeviceChoice;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of a sweep: the same for {@code panthera run} and for an experiment that is started in another way. */
final class SweepOptions {
    private static final String LOCAL = "local";
    private static final List<String> CPU = List.of("cpu");

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
            names = "--engine",
            paramLabel = "local|spark|slurm|files",
            description = "What carries the trials out. Default: local, which is this process")
    String engine = LOCAL;

    @Option(names = "--master", paramLabel = "URL", description = "Of the Spark cluster.")
    private @Nullable String master;

    @Option(
            names = "--engine-option",
            paramLabel = "K=V",
            description = "Of --engine spark or slurm; docs/clusters.md lists them.")
    private Map<String, String> engineOptions = Map.of();

    @Option(
            names = "--device",
            paramLabel = "LIST",
            description = "Where to compute: cpu, auto, or cuda:0,cuda:1. Default: cpu",
            split = ",")
    List<String> devices = CPU;

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

    @Option(
            names = "--json",
            description =
                    "Ends with the numbers of trials as JSON on one line; with --dry-run, a line for each cost.")
    boolean json;

    /**
     * The engine that the options describe.
     *
     * @param folder of the sweep
     * @param trials that it may get
     */
    Engine engine(Path folder, List<Trial> trials) {
        boolean local = engine.equals(LOCAL);
        UserException.require(
                !local || master == null,
                "--master: it belongs to a cluster; add --engine spark or leave it out");
        UserException.require(
                !local || engineOptions.isEmpty(),
                "--engine-option: it belongs to a cluster; add --engine spark or slurm, or leave it out");
        if (local) {
            return localEngine(trials);
        }
        UserException.require(
                slots == 0 && threads == 0 && devices.equals(CPU),
                "--slots, --threads, --device: they belong to the local engine; with --engine %s use --engine-option slots=N or threads=N",
                engine);
        Map<String, String> given = new LinkedHashMap<>(engineOptions);
        if (master != null) {
            given.put("master", master);
        }
        Path jar = folder.resolve(ExperimentJar.NAME);
        return EngineProviders.named(engine)
                .open(new EngineSetting(folder, Files.isRegularFile(jar) ? jar : null, given));
    }

    /**
     * The local engine that the options describe; without options, as many trials at once as there are cores and as fit into memory.
     *
     * @param trials that it may get
     */
    LocalEngine localEngine(List<Trial> trials) {
        int cores = Runtime.getRuntime().availableProcessors();
        List<Slot> all = new ArrayList<>();
        for (String device : devices) {
            int count = slots > 0 ? slots : defaultSlots(device, trials, cores);
            int each = threads > 0 ? threads : Math.max(1, cores / (count * devices.size()));
            all.addAll(Collections.nCopies(count, new Slot(device, each)));
        }
        return new LocalEngine(all);
    }

    private int defaultSlots(String device, List<Trial> trials, int cores) {
        boolean cpu = new DeviceChoice(device, threads).name().equals("cpu");
        return cpu
                ? TrialMemory.fitting(trials, oneTrial(), Math.max(1, cores / Math.max(1, threads)))
                : 1;
    }

    /**
     * Finds out before anything is written whether the local engine can work.
     *
     * @throws UserException if a number or device is impossible
     */
    void requirePossible() {
        UserException.require(
                slots >= 0 && slots <= 1024, "--slots %d: 1 to 1024 are possible", slots);
        if (engine.equals(LOCAL)) {
            devices.forEach(device -> new DeviceChoice(device, threads).open().close());
        }
    }

    /** Where one trial runs, for estimates. */
    DeviceChoice oneTrial() {
        return new DeviceChoice(devices.getFirst(), Math.max(1, threads));
    }
}
