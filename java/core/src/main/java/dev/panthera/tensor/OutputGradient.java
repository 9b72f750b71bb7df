package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import org.jspecify.annotations.Nullable;

/** The gradient of one of several outputs, for a kernel that must have it: zeros where none has arrived. */
final class OutputGradient implements AutoCloseable {
    private final Tape tape;
    private final DeviceBuffer buffer;
    private final Tape.@Nullable Gradient zeros;

    OutputGradient(Tape tape, Tensor output) {
        this.tape = tape;
        DeviceBuffer arrived = output.gradient();
        this.zeros = arrived == null ? tape.newGradient(output) : null;
        this.buffer = zeros == null ? arrived : zeros.buffer();
        if (zeros != null) {
            tape.stream().zero(buffer);
        }
    }

    DeviceBuffer buffer() {
        return buffer;
    }

    @Override
    public void close() {
        tape.give(zeros);
    }
}
