package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_linear_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Affine map of every row: {@code y[r,o] = sum_i x[r,i] weight[o,i] + bias[o]}.
 *
 * @param rows        rows of x and y
 * @param inFeatures  columns of x
 * @param outFeatures columns of y
 * @param xStride     elements between rows of x and dx; at least {@code inFeatures}
 * @param yStride     elements between rows of y and dy; at least {@code outFeatures}
 */
public record LinearKernel(
        long rows, long inFeatures, long outFeatures, long xStride, long yStride) {

    /** Of dense rows. */
    public LinearKernel(long rows, long inFeatures, long outFeatures) {
        this(rows, inFeatures, outFeatures, inFeatures, outFeatures);
    }

    /**
     * Computes y.
     *
     * @param x      (rows, inFeatures)
     * @param weight (outFeatures, inFeatures), a parameter
     * @param bias   (outFeatures), a parameter; null: 0
     * @param y      (rows, outFeatures), output
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer x,
            DeviceBuffer weight,
            @Nullable DeviceBuffer bias,
            DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("linear_forward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_linear_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, xExtent()),
                            call.input("weight", weight, call.parameterType(), weights()),
                            call.optionalInput("bias", bias, call.parameterType(), outFeatures),
                            call.output("y", y, type, yExtent())));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("linear_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_linear_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients: {@code dx[r,i] = sum_o dy[r,o] weight[o,i]}, {@code dweight[o,i] += sum_r dy[r,o] x[r,i]} and
     * {@code dbias[o] += sum_r dy[r,o]}.
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
            KernelCall call = stream.call("linear_backward", this);
            DataType type = call.activationType(x);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_linear_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, xExtent()),
                            call.input("weight", weight, real, weights()),
                            call.input("dy", dy, type, yExtent()),
                            call.optionalOutput("dx", dx, type, xExtent()),
                            call.optionalOutput("dweight", dweight, real, weights()),
                            call.optionalOutput("dbias", dbias, real, outFeatures),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long xExtent() {
        return Sizes.extent(rows, xStride, inFeatures);
    }

    private long yExtent() {
        return Sizes.extent(rows, yStride, outFeatures);
    }

    private long weights() {
        return Sizes.product(outFeatures, inFeatures);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_linear_desc.struct_size(desc, (int) pan_linear_desc.sizeof());
        pan_linear_desc.dtype(desc, type.code());
        pan_linear_desc.rows(desc, rows);
        pan_linear_desc.in_features(desc, inFeatures);
        pan_linear_desc.out_features(desc, outFeatures);
        pan_linear_desc.x_stride(desc, xStride);
        pan_linear_desc.y_stride(desc, yStride);
        return desc;
    }
}
