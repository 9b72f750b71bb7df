package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_dropout_desc;
import java.lang.foreign.MemorySegment;

/**
 * Dropout and row-wise drop path from a counter:
 * <pre>
 * y[r,c] = x[r,c] * keep(r,c) / (1 - probability) * keepPath(r / rowsPerExample) / (1 - pathProbability)
 * </pre>
 * The masks are a pure function of the random state, the key, the row and the column: they are never stored.
 * Source: Srivastava et al. 2014; Huang et al. 2016 (arXiv 1603.09382).
 *
 * @param probability     of dropping an element, in [0, 1)
 * @param pathProbability of dropping a whole example (stochastic depth), in [0, 1)
 * @param rows            rows of x and y
 * @param channels        columns of x and y
 * @param rowsPerExample  rows [k n, (k+1) n) form example k; divides {@code rows}
 * @param key             tells apart the dropouts of one step
 */
public record DropoutKernel(
        float probability,
        float pathProbability,
        long rows,
        long channels,
        long rowsPerExample,
        long key) {

    /**
     * Computes y, which may be x. Linear and its own adjoint: backward is this method applied to dy.
     *
     * @param x (rows, channels), dense
     * @param y (rows, channels), dense, output
     */
    public void apply(DeviceStream stream, RandomState random, DeviceBuffer x, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("dropout", this);
            DataType type = call.activationType(x);
            long elements = Sizes.product(rows, channels);
            call.finish(
                    PantheraAbi.pan_dropout(
                            call.stream(),
                            describe(call, type),
                            call.block("random", random),
                            call.input("x", x, type, elements),
                            call.output("y", y, type, elements)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_dropout_desc.struct_size(desc, (int) pan_dropout_desc.sizeof());
        pan_dropout_desc.dtype(desc, type.code());
        pan_dropout_desc.probability(desc, probability);
        pan_dropout_desc.path_probability(desc, pathProbability);
        pan_dropout_desc.rows(desc, rows);
        pan_dropout_desc.channels(desc, channels);
        pan_dropout_desc.rows_per_example(desc, rowsPerExample);
        pan_dropout_desc.key(desc, key);
        return desc;
    }
}
