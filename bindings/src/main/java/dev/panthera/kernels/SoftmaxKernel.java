package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_softmax_desc;
import java.lang.foreign.MemorySegment;

/**
 * Softmax of every dense row: {@code y[r,c] = exp(x[r,c] - max_c x) / sum_c exp(x[r,c] - max_c x)}.
 *
 * @param rows    rows of x and y
 * @param columns columns of x and y
 */
public record SoftmaxKernel(long rows, long columns) {

    /** Computes y (rows, columns), which may be x. */
    public void forward(DeviceStream stream, DeviceBuffer x, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("softmax_forward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_softmax_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, elements()),
                            call.output("y", y, type, elements())));
        }
    }

    /** Computes {@code dx[r,c] = y[r,c] (dy[r,c] - sum_j dy[r,j] y[r,j])}; dx may be dy. */
    public void backward(DeviceStream stream, DeviceBuffer y, DeviceBuffer dy, DeviceBuffer dx) {
        synchronized (stream) {
            KernelCall call = stream.call("softmax_backward", this);
            DataType type = call.activationType(y);
            call.finish(
                    PantheraAbi.pan_softmax_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("y", y, type, elements()),
                            call.input("dy", dy, type, elements()),
                            call.output("dx", dx, type, elements())));
        }
    }

    private long elements() {
        return Sizes.product(rows, columns);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_softmax_desc.struct_size(desc, (int) pan_softmax_desc.sizeof());
        pan_softmax_desc.dtype(desc, type.code());
        pan_softmax_desc.rows(desc, rows);
        pan_softmax_desc.columns(desc, columns);
        return desc;
    }
}
