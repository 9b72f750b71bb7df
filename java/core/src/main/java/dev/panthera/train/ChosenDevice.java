package dev.panthera.train;

import dev.panthera.kernels.Backend;
import dev.panthera.kernels.Device;
import org.jspecify.annotations.Nullable;

/**
 * An open device and how it was come by.
 *
 * @param device to be closed; a second closing does nothing
 * @param noCuda why {@code auto} chose the CPU; null where it did not
 */
public record ChosenDevice(Device device, @Nullable String noCuda) implements AutoCloseable {

    /** What a user is told, for example {@code cpu:avx512, threads: 2; no CUDA: libcuda.so.1 is not there}. */
    public String description() {
        String where =
                device.backend() == Backend.CPU
                        ? device.name() + ", threads: " + device.info().threads()
                        : device.name();
        return noCuda == null ? where : where + "; no CUDA: " + noCuda;
    }

    @Override
    public void close() {
        device.close();
    }
}
