package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_arithmetic_desc;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** {@code y = a + b}, {@code a - b}, {@code a * b}, {@code a / b} or {@code max(a, b)}, element by element, with broadcasting. */
public final class ArithmeticKernel {

    /** Most dimensions of y. */
    public static final int MAX_RANK = PantheraAbi.PAN_MAX_RANK();

    private final ArithmeticKind kind;
    private final long[] shape;
    private final long[] aStride;
    private final long[] bStride;

    /**
     * An operation of 1 to {@link #MAX_RANK} dimensions.
     *
     * @param shape   of y, which is dense
     * @param aStride elements between consecutive entries of a, per dimension of shape; 0 where a is broadcast
     * @param bStride likewise; the last entry of either is 0 or 1
     * @throws KernelException.InvalidArgument if the arrays have different lengths
     */
    public ArithmeticKernel(ArithmeticKind kind, long[] shape, long[] aStride, long[] bStride) {
        this.kind = kind;
        this.shape = shape.clone();
        this.aStride = aStride.clone();
        this.bStride = bStride.clone();
        if (shape.length == 0
                || shape.length > MAX_RANK
                || aStride.length != shape.length
                || bStride.length != shape.length) {
            throw new KernelException.InvalidArgument(
                    "arithmetic",
                    "arithmetic: shape, aStride and bStride have %d, %d and %d entries; expected the same, from 1 to %d"
                            .formatted(shape.length, aStride.length, bStride.length, MAX_RANK),
                    toString(),
                    "");
        }
    }

    /** As {@link #ArithmeticKernel(ArithmeticKind, long[], long[], long[])}. */
    public ArithmeticKernel(ArithmeticKind kind, int[] shape, long[] aStride, long[] bStride) {
        this(kind, Arrays.stream(shape).asLongStream().toArray(), aStride, bStride);
    }

    /** Of two dense operands with that many elements, without broadcasting. */
    public static ArithmeticKernel dense(ArithmeticKind kind, long elements) {
        long[] adjacent = {1};
        return new ArithmeticKernel(kind, new long[] {elements}, adjacent, adjacent);
    }

    /** The operation. */
    public ArithmeticKind kind() {
        return kind;
    }

    /**
     * Computes y, which may be an operand of the same dense layout.
     *
     * @param a with {@code aStride}
     * @param b with {@code bStride}
     * @param y dense, output
     */
    public void forward(DeviceStream stream, DeviceBuffer a, DeviceBuffer b, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("arithmetic_forward", this);
            DataType type = call.activationType(y);
            call.finish(
                    PantheraAbi.pan_arithmetic_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("a", a, type, extent(aStride)),
                            call.input("b", b, type, extent(bStride)),
                            call.output("y", y, type, outputs())));
        }
    }

    /**
     * Computes gradients; where an operand was broadcast, summed over the dimensions of stride 0:
     * <pre>
     * add: da = dy, db = dy    subtract: da = dy, db = -dy    multiply: da = dy b, db = dy a
     * divide: da = dy / b, db = -dy a / b^2         maximum: da = dy where a >= b, else 0; db = dy - da
     * </pre>
     *
     * @param a  may be null for add and subtract
     * @param b  may be null for add and subtract
     * @param dy dense
     * @param da with {@code aStride}, written; null: not computed
     * @param db with {@code bStride}, written; null: not computed
     */
    public void backward(
            DeviceStream stream,
            @Nullable DeviceBuffer a,
            @Nullable DeviceBuffer b,
            DeviceBuffer dy,
            @Nullable DeviceBuffer da,
            @Nullable DeviceBuffer db) {
        synchronized (stream) {
            KernelCall call = stream.call("arithmetic_backward", this);
            DataType type = call.activationType(dy);
            call.finish(
                    PantheraAbi.pan_arithmetic_backward(
                            call.stream(),
                            describe(call, type),
                            call.optionalInput("a", a, type, extent(aStride)),
                            call.optionalInput("b", b, type, extent(bStride)),
                            call.input("dy", dy, type, outputs()),
                            call.optionalOutput("da", da, type, extent(aStride)),
                            call.optionalOutput("db", db, type, extent(bStride))));
        }
    }

    @Override
    public String toString() {
        return "ArithmeticKernel[kind=%s, shape=%s, aStride=%s, bStride=%s]"
                .formatted(
                        kind,
                        Arrays.toString(shape),
                        Arrays.toString(aStride),
                        Arrays.toString(bStride));
    }

    private long outputs() {
        long elements = 1;
        for (long size : shape) {
            elements = Sizes.product(elements, size);
        }
        return elements;
    }

    private long extent(long[] stride) {
        long elements = 1;
        for (int i = 0; i < shape.length; i++) {
            elements = Sizes.sum(elements, Sizes.product(shape[i] - 1, stride[i]));
        }
        return elements;
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_arithmetic_desc.struct_size(desc, (int) pan_arithmetic_desc.sizeof());
        pan_arithmetic_desc.dtype(desc, type.code());
        pan_arithmetic_desc.kind(desc, kind.code());
        pan_arithmetic_desc.rank(desc, shape.length);
        for (int i = 0; i < shape.length; i++) {
            pan_arithmetic_desc.shape(desc, i, shape[i]);
            pan_arithmetic_desc.a_stride(desc, i, aStride[i]);
            pan_arithmetic_desc.b_stride(desc, i, bStride[i]);
        }
        return desc;
    }
}
