package dev.panthera.kernels;

import java.util.Objects;

/**
 * What to open with {@link Device#open}.
 *
 * @param backend where kernels run
 * @param index   which device of the backend; 0 where there is only one
 * @param threads CPU: threads that work, the caller's included; 0: one per available core
 * @param isa     CPU: instruction-set tier; {@link Isa#BEST} is right outside tests
 */
public record DeviceOptions(Backend backend, int index, int threads, Isa isa) {

    public DeviceOptions {
        Objects.requireNonNull(backend, "backend");
        Objects.requireNonNull(isa, "isa");
    }

    /** Device 0 of a backend, with all cores and the best tier where that means something. */
    public static DeviceOptions of(Backend backend) {
        return new DeviceOptions(backend, 0, 0, Isa.BEST);
    }

    /** The same with another index. */
    public DeviceOptions withIndex(int newIndex) {
        return new DeviceOptions(backend, newIndex, threads, isa);
    }

    /** The same with another number of threads. */
    public DeviceOptions withThreads(int newThreads) {
        return new DeviceOptions(backend, index, newThreads, isa);
    }

    /** The same with another instruction-set tier. */
    public DeviceOptions withIsa(Isa newIsa) {
        return new DeviceOptions(backend, index, threads, newIsa);
    }
}
