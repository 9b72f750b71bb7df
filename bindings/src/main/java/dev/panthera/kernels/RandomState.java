package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_random_state;
import java.lang.foreign.MemorySegment;

/**
 * Device memory that names the current draw of {@link DropoutKernel}, {@link AttentionKernel} and
 * {@link SelectedAttentionKernel}. An element's random number is a pure function of (seed, step, the op's key, the
 * element's row, its column). Owns its block.
 *
 * @param block the {@code pan_random_state}
 */
public record RandomState(DeviceBuffer block) implements StepState {

    /** A block with seed and step 0. */
    public static RandomState allocate(Device device, DeviceStream stream) {
        var state = new RandomState(device.allocate(DataType.BYTE, pan_random_state.sizeof()));
        try {
            state.write(stream, 0, 0);
        } catch (RuntimeException | Error failure) {
            state.close();
            throw failure;
        }
        return state;
    }

    /** Sets the draw for the stream's work from here on. Both are unsigned. */
    public void write(DeviceStream stream, long seed, long step) {
        synchronized (stream) {
            KernelCall call = stream.call("random_state_write", this);
            MemorySegment struct = call.descriptor();
            pan_random_state.seed(struct, seed);
            pan_random_state.step(struct, step);
            call.finish(
                    PantheraAbi.pan_copy_to_device(
                            call.stream(),
                            call.block("random", this),
                            struct,
                            pan_random_state.sizeof()));
        }
    }
}
