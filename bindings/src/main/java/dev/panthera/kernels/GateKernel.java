package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_gate_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Gating in one pass, for GLU variants (Shazeer 2020, arXiv 2002.05202) and gated convolutions:
 * {@code y[r,j] = f(a[r,j]) * b[r,j] + c[r,j]}.
 *
 * @param activation f
 * @param rows       rows of all arrays
 * @param channels   columns of all arrays
 * @param aStride    elements between rows of a and da; at least {@code channels}, likewise below
 * @param bStride    of b and db
 * @param cStride    of c; ignored where c is null
 * @param yStride    of y and dy
 */
public record GateKernel(
        Activation activation,
        long rows,
        long channels,
        long aStride,
        long bStride,
        long cStride,
        long yStride) {

    /** Of dense rows. */
    public GateKernel(Activation activation, long rows, long channels) {
        this(activation, rows, channels, channels, channels, channels, channels);
    }

    /**
     * Computes y, which may be a, b or c.
     *
     * @param a (rows, channels)
     * @param b (rows, channels)
     * @param c (rows, channels); null: 0
     * @param y (rows, channels), output
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer a,
            DeviceBuffer b,
            @Nullable DeviceBuffer c,
            DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("gate_forward", this);
            DataType type = call.activationType(a);
            call.finish(
                    PantheraAbi.pan_gate_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("a", a, type, extent(aStride)),
                            call.input("b", b, type, extent(bStride)),
                            call.optionalInput("c", c, type, extent(cStride)),
                            call.output("y", y, type, extent(yStride))));
        }
    }

    /**
     * Computes {@code da = f'(a) b dy} and {@code db = f(a) dy}; the gradient of c is dy itself.
     *
     * @param da written; null: not computed
     * @param db written; null: not computed
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer a,
            DeviceBuffer b,
            DeviceBuffer dy,
            @Nullable DeviceBuffer da,
            @Nullable DeviceBuffer db) {
        synchronized (stream) {
            KernelCall call = stream.call("gate_backward", this);
            DataType type = call.activationType(a);
            call.finish(
                    PantheraAbi.pan_gate_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("a", a, type, extent(aStride)),
                            call.input("b", b, type, extent(bStride)),
                            call.input("dy", dy, type, extent(yStride)),
                            call.optionalOutput("da", da, type, extent(aStride)),
                            call.optionalOutput("db", db, type, extent(bStride))));
        }
    }

    private long extent(long stride) {
        return Sizes.extent(rows, stride, channels);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_gate_desc.struct_size(desc, (int) pan_gate_desc.sizeof());
        pan_gate_desc.dtype(desc, type.code());
        pan_gate_desc.activation(desc, activation.code());
        pan_gate_desc.reserved(desc, 0);
        pan_gate_desc.rows(desc, rows);
        pan_gate_desc.channels(desc, channels);
        pan_gate_desc.a_stride(desc, aStride);
        pan_gate_desc.b_stride(desc, bStride);
        pan_gate_desc.c_stride(desc, cStride);
        pan_gate_desc.y_stride(desc, yStride);
        return desc;
    }
}
