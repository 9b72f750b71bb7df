package dev.panthera.train;

import java.nio.file.Path;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * How a run is carried out; none of it changes results.
 *
 * @param device where it computes
 * @param folder where config, metrics and checkpoint go, made if need be; null: nothing is written
 * @param resume goes on from the folder's checkpoint
 * @param stopRequested asked before each step; once true, the run writes a checkpoint and ends
 */
public record RunOptions(
        DeviceChoice device, @Nullable Path folder, boolean resume, BooleanSupplier stopRequested) {

    public RunOptions {
        if (resume && folder == null) {
            throw new IllegalArgumentException("a run without a folder has nothing to resume");
        }
    }
}
