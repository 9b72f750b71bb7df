package dev.panthera.train;

import dev.panthera.tensor.StepProfile;
import java.nio.file.Path;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * How a run is carried out; none of it changes results.
 *
 * @param device where it computes
 * @param folder where config, metrics and checkpoint go, made if need be; null: nothing is written
 * @param resume goes on from the folder's checkpoint
 * @param stopRequested asked before each step; once true, the run writes a checkpoint and ends
 * @param profile measures the operations of each step, which slows them a little; null: none
 * @param sinks where metrics go besides the folder; the run starts and ends them, so each serves one run
 */
public record RunOptions(
        DeviceChoice device,
        @Nullable Path folder,
        boolean resume,
        BooleanSupplier stopRequested,
        @Nullable StepProfile profile,
        List<MetricSink> sinks) {

    /** Without a profile and without further sinks. */
    public RunOptions(
            DeviceChoice device,
            @Nullable Path folder,
            boolean resume,
            BooleanSupplier stopRequested) {
        this(device, folder, resume, stopRequested, null, List.of());
    }

    public RunOptions {
        sinks = List.copyOf(sinks);
        if (resume && folder == null) {
            throw new IllegalArgumentException("a run without a folder has nothing to resume");
        }
    }
}
