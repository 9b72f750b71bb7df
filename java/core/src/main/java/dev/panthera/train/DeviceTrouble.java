package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.kernels.KernelException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Says what can be done about a device that is full or has failed. */
public final class DeviceTrouble {
    private DeviceTrouble() {}

    /** Of work that has left nothing behind and can be begun again. */
    public static UserException explain(KernelException failure) {
        return new UserException(
                failure instanceof KernelException.OutOfMemory
                        ? failure.getMessage()
                                + "; use a smaller model or batch, or another --device"
                        : failure.getMessage() + "; try again, or use another --device",
                failure);
    }

    /**
     * Of a training run.
     *
     * @param checkpoint where the run writes its checkpoints; null: nowhere
     */
    static UserException explain(KernelException failure, @Nullable Path checkpoint) {
        if (checkpoint == null || !Files.isRegularFile(checkpoint)) {
            return explain(failure);
        }
        String what =
                failure instanceof KernelException.OutOfMemory
                        ? "the device is full"
                        : "the device has failed";
        return new UserException(
                "%s; %s, but the run's last checkpoint is intact: go on with panthera train --resume %s --device cpu, or on another device"
                        .formatted(failure.getMessage(), what, checkpoint.getParent()),
                failure);
    }
}
