package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_triangular_solve_desc;
import java.lang.foreign.MemorySegment;

/**
 * Solves {@code a x = b} for lower triangular a, by substitution: {@code x[i] = (b[i] - sum_{j < i} a[i,j] x[j]) / a[i,i]}. What is
 * above the diagonal is not read; a 0 on it gives infinities, as division does. Row i of x depends on rows up to i of a and b only,
 * in every bit.
 *
 * @param batch   systems
 * @param size    rows and columns of a
 * @param columns of b and x
 */
public record TriangularSolveKernel(long batch, long size, long columns) {

    /**
     * Computes x.
     *
     * @param a {@code (batch, size, size)}
     * @param b {@code (batch, size, columns)}
     * @param x as b, and may be it
     */
    public void forward(DeviceStream stream, DeviceBuffer a, DeviceBuffer b, DeviceBuffer x) {
        synchronized (stream) {
            KernelCall call = stream.call("triangular_solve_forward", this);
            DataType type = call.activationType(a);
            call.finish(
                    PantheraAbi.pan_triangular_solve_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("a", a, type, matrices()),
                            call.input("b", b, type, vectors()),
                            call.output("x", x, type, vectors())));
        }
    }

    /**
     * Computes {@code db = a^-T dx}, by substitution from the last row back, and {@code da[i,j] = -db[i] . x[j]} for j {@code <=} i, 0
     * above the diagonal.
     *
     * @param db may be dx
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer a,
            DeviceBuffer x,
            DeviceBuffer dx,
            DeviceBuffer da,
            DeviceBuffer db) {
        synchronized (stream) {
            KernelCall call = stream.call("triangular_solve_backward", this);
            DataType type = call.activationType(a);
            call.finish(
                    PantheraAbi.pan_triangular_solve_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("a", a, type, matrices()),
                            call.input("x", x, type, vectors()),
                            call.input("dx", dx, type, vectors()),
                            call.output("da", da, type, matrices()),
                            call.output("db", db, type, vectors())));
        }
    }

    private long matrices() {
        return Sizes.product(batch, size, size);
    }

    private long vectors() {
        return Sizes.product(batch, size, columns);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_triangular_solve_desc.struct_size(desc, (int) pan_triangular_solve_desc.sizeof());
        pan_triangular_solve_desc.dtype(desc, type.code());
        pan_triangular_solve_desc.batch(desc, batch);
        pan_triangular_solve_desc.size(desc, size);
        pan_triangular_solve_desc.columns(desc, columns);
        return desc;
    }
}
