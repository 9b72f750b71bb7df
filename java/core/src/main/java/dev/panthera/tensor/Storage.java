package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Counted memory of a tensor's values or gradient. Memory of a {@link StepArena} goes back to it with the last release;
 * persistent memory (parameters and their gradients) has no arena and is never released.
 */
final class Storage {
    private final DeviceBuffer buffer;
    private final @Nullable StepArena arena;
    private final long offset;
    private int references = 1;

    private Storage(DeviceBuffer buffer, @Nullable StepArena arena, long offset) {
        this.buffer = buffer;
        this.arena = arena;
        this.offset = offset;
    }

    static Storage persistent(DeviceBuffer buffer) {
        return new Storage(buffer, null, 0);
    }

    static Storage counted(DeviceBuffer buffer, StepArena arena, long offset) {
        return new Storage(buffer, arena, offset);
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
        return arena == null;
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
