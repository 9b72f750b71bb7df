package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_sine_layer_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * {@code y[r,c] = sin(frequency[c] x[r,c])} over dense rows. Source: Sitzmann et al. 2020 (arXiv 2006.09661), eq. 1,
 * with a learned frequency for each channel.
 *
 * @param rows     of x and y
 * @param channels columns of x and y
 */
public record SineLayerKernel(long rows, long channels) {

    /**
     * Computes y.
     *
     * @param x         (rows, channels)
     * @param frequency (channels), a parameter
     * @param y         (rows, channels), output; may be x
     */
    public void forward(
            DeviceStream stream, DeviceBuffer x, DeviceBuffer frequency, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("sine_layer_forward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_sine_layer_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, Sizes.product(rows, channels)),
                            call.input("frequency", frequency, call.parameterType(), channels),
                            call.output("y", y, type, Sizes.product(rows, channels))));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("sine_layer_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_sine_layer_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes {@code dx = frequency cos(frequency x) dy} and {@code dfrequency[c] += sum_r x cos(frequency x) dy}.
     *
     * @param dx         written; may be dy; null: not computed
     * @param dfrequency added to; null: not computed
     * @param workspace  {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer x,
            DeviceBuffer frequency,
            DeviceBuffer dy,
            @Nullable DeviceBuffer dx,
            @Nullable DeviceBuffer dfrequency,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("sine_layer_backward", this);
            DataType type = call.activationType(x);
            DataType real = call.parameterType();
            long elements = Sizes.product(rows, channels);
            call.finish(
                    PantheraAbi.pan_sine_layer_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, elements),
                            call.input("frequency", frequency, real, channels),
                            call.input("dy", dy, type, elements),
                            call.optionalOutput("dx", dx, type, elements),
                            call.optionalOutput("dfrequency", dfrequency, real, channels),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_sine_layer_desc.struct_size(desc, (int) pan_sine_layer_desc.sizeof());
        pan_sine_layer_desc.dtype(desc, type.code());
        pan_sine_layer_desc.rows(desc, rows);
        pan_sine_layer_desc.channels(desc, channels);
        return desc;
    }
}
