package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_short_conv_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Causal depthwise convolution with a few taps.
 * <pre>
 * y[b,t,c] = bias[c] + sum_{j=0..taps-1} weight[c,j] x[b,t-(taps-1)+j,c],    x = 0 before the sequence
 * </pre>
 * The last tap meets the current position. In the time domain: an output depends on no later input in any bit.
 *
 * @param batch    sequences
 * @param length   positions of a sequence
 * @param channels of a position
 * @param taps     of a channel's filter; at least 1, also more than {@code length}
 * @param xStride  elements between positions of x and dx; at least {@code channels}
 * @param yStride  likewise of y and dy
 */
public record ShortConvKernel(
        long batch, long length, long channels, long taps, long xStride, long yStride) {

    /** Of dense arrays. */
    public ShortConvKernel(long batch, long length, long channels, long taps) {
        this(batch, length, channels, taps, channels, channels);
    }

    /**
     * Computes y.
     *
     * @param x      (batch, length, channels)
     * @param weight (channels, taps), a parameter
     * @param bias   (channels), a parameter; null: 0
     * @param y      (batch, length, channels), output
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer x,
            DeviceBuffer weight,
            @Nullable DeviceBuffer bias,
            DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("short_conv_forward", this);
            DataType type = call.activationType(x);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_short_conv_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, extent(xStride)),
                            call.input("weight", weight, real, Sizes.product(channels, taps)),
                            call.optionalInput("bias", bias, real, channels),
                            call.output("y", y, type, extent(yStride))));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("short_conv_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_short_conv_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients.
     * <pre>
     * dx[b,s,c] = sum_{j: s+(taps-1)-j &lt; length} weight[c,j] dy[b,s+(taps-1)-j,c]
     * dweight[c,j] += sum_{b,t} dy[b,t,c] x[b,t-(taps-1)+j,c]      dbias[c] += sum_{b,t} dy[b,t,c]
     * </pre>
     *
     * @param dx        written; null: not computed
     * @param dweight   added to; null: not computed
     * @param dbias     added to; null: not computed
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer x,
            DeviceBuffer weight,
            DeviceBuffer dy,
            @Nullable DeviceBuffer dx,
            @Nullable DeviceBuffer dweight,
            @Nullable DeviceBuffer dbias,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("short_conv_backward", this);
            DataType type = call.activationType(x);
            DataType real = call.parameterType();
            long weights = Sizes.product(channels, taps);
            call.finish(
                    PantheraAbi.pan_short_conv_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, extent(xStride)),
                            call.input("weight", weight, real, weights),
                            call.input("dy", dy, type, extent(yStride)),
                            call.optionalOutput("dx", dx, type, extent(xStride)),
                            call.optionalOutput("dweight", dweight, real, weights),
                            call.optionalOutput("dbias", dbias, real, channels),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long extent(long stride) {
        return Sizes.extent(Sizes.product(batch, length), stride, channels);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_short_conv_desc.struct_size(desc, (int) pan_short_conv_desc.sizeof());
        pan_short_conv_desc.dtype(desc, type.code());
        pan_short_conv_desc.batch(desc, batch);
        pan_short_conv_desc.length(desc, length);
        pan_short_conv_desc.channels(desc, channels);
        pan_short_conv_desc.taps(desc, taps);
        pan_short_conv_desc.x_stride(desc, xStride);
        pan_short_conv_desc.y_stride(desc, yStride);
        return desc;
    }
}
