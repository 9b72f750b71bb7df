package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_activation_desc;
import java.lang.foreign.MemorySegment;

/**
 * A function of every element: {@code y[i] = f(x[i])}.
 *
 * @param kind  the function
 * @param count elements
 */
public record ActivationKernel(Activation kind, long count) {

    /** Computes y, which may be x. Both have {@code count} elements. */
    public void forward(DeviceStream stream, DeviceBuffer x, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("activation_forward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_activation_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, count),
                            call.output("y", y, type, count)));
        }
    }

    /** Computes {@code dx[i] = f'(x[i]) dy[i]}; dx may be dy or x. All have {@code count} elements. */
    public void backward(DeviceStream stream, DeviceBuffer x, DeviceBuffer dy, DeviceBuffer dx) {
        synchronized (stream) {
            KernelCall call = stream.call("activation_backward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_activation_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, count),
                            call.input("dy", dy, type, count),
                            call.output("dx", dx, type, count)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_activation_desc.struct_size(desc, (int) pan_activation_desc.sizeof());
        pan_activation_desc.dtype(desc, type.code());
        pan_activation_desc.kind(desc, kind.code());
        pan_activation_desc.reserved(desc, 0);
        pan_activation_desc.count(desc, count);
        return desc;
    }
}
