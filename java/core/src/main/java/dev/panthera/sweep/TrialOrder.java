package dev.panthera.sweep;

import dev.panthera.track.TrackingOptions;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.TrainConfig;
import org.jspecify.annotations.Nullable;

/**
 * A trial as it crosses the borders of threads, processes and machines: a value that goes to JSON and comes back equal.
 *
 * @param id of the trial in its sweep's store
 * @param label what a person reads, for example {@code attention d_model=64 lr=0.001}
 * @param config what is run
 * @param device where, as {@link dev.panthera.train.DeviceChoice} names it
 * @param threads of the CPU, 0: one per core
 * @param folder where the checkpoint and metrics go, as a path of the machine that runs the trial; null: nothing is written,
 *     and an interrupted trial starts again
 * @param tracking where metrics go besides the folder
 */
public record TrialOrder(
        String id,
        String label,
        TrainConfig config,
        String device,
        int threads,
        @Nullable String folder,
        TrackingOptions tracking) {

    /** Without tracking. */
    public TrialOrder(
            String id,
            String label,
            TrainConfig config,
            String device,
            int threads,
            @Nullable String folder) {
        this(id, label, config, device, threads, folder, TrackingOptions.NONE);
    }

    /** The same on another device. */
    public TrialOrder on(String newDevice, int newThreads) {
        return new TrialOrder(id, label, config, newDevice, newThreads, folder, tracking);
    }

    /** As one line of JSON. */
    public String toJson() {
        return ConfigFile.toJsonLine(this);
    }

    /**
     * Reads what {@link #toJson} wrote. Mixers and tasks of an experiment are found through the thread's context class loader.
     *
     * @throws dev.panthera.UserException if it is no such order
     */
    public static TrialOrder fromJson(String json) {
        return ConfigFile.fromJson(json, TrialOrder.class);
    }
}
