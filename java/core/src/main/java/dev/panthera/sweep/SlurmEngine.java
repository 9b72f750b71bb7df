package dev.panthera.sweep;

import dev.panthera.io.AtomicFile;
import java.time.Duration;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/**
 * Carries trials out as a Slurm job array: one element a trial, at most so many at once, each {@code panthera run-trial
 * FOLDER --index N}. Needs a sweep's folder that all nodes see under the same path, and this program installed under the
 * same path too.
 */
public final class SlurmEngine implements Engine {
    private static final String FIRST_GPU = "cuda:0";

    private final EngineSetting setting;
    private final TrialFolder files;
    private final SlurmJobs jobs;

    SlurmEngine(EngineSetting setting) {
        this.setting = setting;
        files = new TrialFolder(setting.folder());
        jobs = new SlurmJobs(files, setting);
    }

    @Override
    public void run(TrialQueue queue, BooleanSupplier stopRequested) {
        files.prepare(setting.experimentJar());
        AtomicFile.write(
                files.script(),
                JobScript.text(
                        setting.text(SlurmEngineProvider.COMMAND),
                        files.root(),
                        "$SLURM_ARRAY_TASK_ID"));
        new ArrayEngine(
                        files,
                        jobs,
                        this::place,
                        Duration.ofMillis(setting.count(SlurmEngineProvider.POLL, 10, 2000)),
                        Duration.ofMillis(setting.count(SlurmEngineProvider.GRACE, 0, 30_000)))
                .run(queue, stopRequested);
    }

    /** Slurm shows a job its own GPUs alone, so that the first of them is always number 0. */
    private TrialOrder place(TrialOrder order) {
        int threads = setting.count(SlurmEngineProvider.THREADS, 1, 1);
        return order.on(usesGpu() ? FIRST_GPU : order.device(), threads);
    }

    private boolean usesGpu() {
        return Stream.of("gres", "gpus", "gpus-per-task", "gpus-per-node")
                .map(setting::text)
                .anyMatch(text -> text != null && (text.contains("gpu") || text.matches(".*\\d")));
    }

    @Override
    public String description() {
        String slots = setting.text(SlurmEngineProvider.SLOTS);
        return "Slurm job array, %s, %d threads each%s"
                .formatted(
                        slots == null
                                ? "as many trials at once as the cluster lets"
                                : "at most " + slots + " trials at once",
                        setting.count(SlurmEngineProvider.THREADS, 1, 1),
                        usesGpu() ? ", on GPUs" : "");
    }
}
