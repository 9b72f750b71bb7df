package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_reduce_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Reduction of the middle dimension of a dense array: {@code y[o,i] = reduction over k of x[o,k,i]}. The order of
 * summation is fixed by the shape; partial sums are kept in higher precision than F32.
 *
 * @param kind  what is computed
 * @param outer extent of the dimensions in front
 * @param count extent of the reduced dimension
 * @param inner extent of the dimensions behind
 */
public record ReduceKernel(Reduction kind, long outer, long count, long inner) {

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("reduce_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_reduce_forward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes y.
     *
     * @param x         (outer, count, inner)
     * @param y         (outer, inner), output
     * @param workspace {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream, DeviceBuffer x, DeviceBuffer y, @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("reduce_forward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_reduce_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, inputs()),
                            call.output("y", y, type, outputs()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /**
     * Computes the gradient. Sum: {@code dx = dy}; mean: {@code dx = dy / count}; sum of squares: {@code dx = 2 x dy};
     * sum of magnitudes: {@code dx = sign(x) dy}; maximum: {@code dx = dy} at the first largest element, 0 elsewhere.
     *
     * @param x  may be null if the reduction is the sum or the mean
     * @param dy (outer, inner)
     * @param dx (outer, count, inner), written
     */
    public void backward(
            DeviceStream stream, @Nullable DeviceBuffer x, DeviceBuffer dy, DeviceBuffer dx) {
        synchronized (stream) {
            KernelCall call = stream.call("reduce_backward", this);
            DataType type = call.activationType(dy);
            call.finish(
                    PantheraAbi.pan_reduce_backward(
                            call.stream(),
                            describe(call, type),
                            call.optionalInput("x", x, type, inputs()),
                            call.input("dy", dy, type, outputs()),
                            call.output("dx", dx, type, inputs())));
        }
    }

    private long inputs() {
        return Sizes.product(outer, count, inner);
    }

    private long outputs() {
        return Sizes.product(outer, inner);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_reduce_desc.struct_size(desc, (int) pan_reduce_desc.sizeof());
        pan_reduce_desc.dtype(desc, type.code());
        pan_reduce_desc.kind(desc, kind.code());
        pan_reduce_desc.reserved(desc, 0);
        pan_reduce_desc.outer(desc, outer);
        pan_reduce_desc.count(desc, count);
        pan_reduce_desc.inner(desc, inner);
        return desc;
    }
}
