package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Counted memory of a tensor's values or gradient. Memory of a {@link StepArena} goes back to it with the last release;
 * persistent memory (parameters and their gradients) and borrowed memory (the gradient that a caller starts from) have no
 * arena and are never released. Borrowed memory is only read.
 */
final class Storage {
    private final DeviceBuffer buffer;
    private final @Nullable StepArena arena;
    private final long offset;
    private final boolean borrowed;
    private int references = 1;

    private Storage(DeviceBuffer buffer, @Nullable StepArena arena, long offset, boolean borrowed) {
        this.buffer = buffer;
        this.arena = arena;
        this.offset = offset;
        this.borrowed = borrowed;
    }

    static Storage persistent(DeviceBuffer buffer) {
        return new Storage(buffer, null, 0, false);
    }

    static Storage borrowed(DeviceBuffer buffer) {
        return new Storage(buffer, null, 0, true);
    }

    static Storage counted(DeviceBuffer buffer, StepArena arena, long offset) {
        return new Storage(buffer, arena, offset, false);
    }

    DeviceBuffer buffer() {
        if (references == 0) {
            throw new IllegalStateException(
                    "this tensor's memory was already given back: backward() has passed it");
        }
        return buffer;
    }

    boolean isExclusive() {
        return references == 1 && arena != null;
    }

    boolean isPersistent() {
        return arena == null && !borrowed;
    }

    Storage retain() {
        references++;
        return this;
    }

    void release() {
        if (arena != null && --references == 0) {
            arena.free(offset, buffer.byteSize());
        }
    }
}
