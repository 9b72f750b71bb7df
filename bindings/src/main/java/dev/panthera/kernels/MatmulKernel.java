package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_matmul_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Batched matrix product: {@code y[b,i,j] = alpha * sum_k a[b,i,k] b[b,k,j]}. A matrix's result does not depend on the
 * others of the batch.
 *
 * @param batch       products
 * @param m           rows of y
 * @param n           columns of y
 * @param k           terms of a sum
 * @param aTransposed false: each a is stored as (m, k); true: as (k, m)
 * @param bTransposed false: each b is stored as (k, n); true: as (n, k)
 * @param alpha       factor
 * @param a           where the matrices of a lie; likewise b and y, whose matrices may not overlap
 */
public record MatmulKernel(
        long batch,
        long m,
        long n,
        long k,
        boolean aTransposed,
        boolean bTransposed,
        float alpha,
        MatrixLayout a,
        MatrixLayout b,
        MatrixLayout y) {

    /** Of dense arrays, neither transposed: (batch, m, k) times (batch, k, n). */
    public MatmulKernel(long batch, long m, long n, long k) {
        this(
                batch,
                m,
                n,
                k,
                false,
                false,
                1,
                MatrixLayout.dense(m, k),
                MatrixLayout.dense(k, n),
                MatrixLayout.dense(m, n));
    }

    /** Bytes of scratch that {@link #multiply} and {@link #add} need. */
    public long workspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("matmul_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_matmul_workspace_size(
                            call.stream(),
                            describe(call, call.parameterType(), false),
                            call.size()));
        }
    }

    /**
     * Writes the products.
     *
     * @param workspace {@link #workspaceBytes}; may be null if 0
     */
    public void multiply(
            DeviceStream stream,
            DeviceBuffer a,
            DeviceBuffer b,
            DeviceBuffer y,
            @Nullable DeviceBuffer workspace) {
        run(stream, a, b, y, false, workspace);
    }

    /** Adds the products to what y holds. */
    public void add(
            DeviceStream stream,
            DeviceBuffer a,
            DeviceBuffer b,
            DeviceBuffer y,
            @Nullable DeviceBuffer workspace) {
        run(stream, a, b, y, true, workspace);
    }

    private void run(
            DeviceStream stream,
            DeviceBuffer left,
            DeviceBuffer right,
            DeviceBuffer result,
            boolean accumulate,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("matmul", this);
            DataType type = call.activationType(left);
            long lefts = aTransposed ? a.extent(batch, k, m) : a.extent(batch, m, k);
            long rights = bTransposed ? b.extent(batch, n, k) : b.extent(batch, k, n);
            call.finish(
                    PantheraAbi.pan_matmul(
                            call.stream(),
                            describe(call, type, accumulate),
                            call.input("a", left, type, lefts),
                            call.input("b", right, type, rights),
                            call.output("y", result, type, y.extent(batch, m, n)),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type, boolean accumulate) {
        MemorySegment desc = call.descriptor();
        pan_matmul_desc.struct_size(desc, (int) pan_matmul_desc.sizeof());
        pan_matmul_desc.dtype(desc, type.code());
        pan_matmul_desc.alpha(desc, alpha);
        pan_matmul_desc.accumulate(desc, accumulate ? 1 : 0);
        pan_matmul_desc.a_transposed(desc, aTransposed ? 1 : 0);
        pan_matmul_desc.b_transposed(desc, bTransposed ? 1 : 0);
        pan_matmul_desc.batch(desc, batch);
        pan_matmul_desc.m(desc, m);
        pan_matmul_desc.n(desc, n);
        pan_matmul_desc.k(desc, k);
        pan_matmul_desc.a_stride(desc, a.stride());
        pan_matmul_desc.b_stride(desc, b.stride());
        pan_matmul_desc.y_stride(desc, y.stride());
        pan_matmul_desc.a_batch_stride(desc, a.batchStride());
        pan_matmul_desc.b_batch_stride(desc, b.batchStride());
        pan_matmul_desc.y_batch_stride(desc, y.batchStride());
        return desc;
    }
}
