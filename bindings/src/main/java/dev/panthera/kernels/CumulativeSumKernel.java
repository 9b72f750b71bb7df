package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_cumulative_sum_desc;
import java.lang.foreign.MemorySegment;

/**
 * Cumulative sum along the middle dimension of a dense array: {@code y[o,k,i] = sum_{j <= k} x[o,j,i]}, or
 * {@code sum_{j >= k}} in reverse, which is the adjoint. Sums are kept in higher precision than F32; an output depends on no
 * later input in any bit.
 *
 * @param reverse whether from the last entry back
 * @param outer   extent of the dimensions in front
 * @param count   extent of the dimension that is summed along
 * @param inner   extent of the dimensions behind
 */
public record CumulativeSumKernel(boolean reverse, long outer, long count, long inner) {

    /** The sum in the other direction. */
    public CumulativeSumKernel reversed() {
        return new CumulativeSumKernel(!reverse, outer, count, inner);
    }

    /** Computes y, which may be x. Both are (outer, count, inner). */
    public void apply(DeviceStream stream, DeviceBuffer x, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("cumulative_sum", this);
            DataType type = call.activationType(x);
            long elements = Sizes.product(outer, count, inner);
            call.finish(
                    PantheraAbi.pan_cumulative_sum(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, elements),
                            call.output("y", y, type, elements)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_cumulative_sum_desc.struct_size(desc, (int) pan_cumulative_sum_desc.sizeof());
        pan_cumulative_sum_desc.dtype(desc, type.code());
        pan_cumulative_sum_desc.reverse(desc, reverse ? 1 : 0);
        pan_cumulative_sum_desc.reserved(desc, 0);
        pan_cumulative_sum_desc.outer(desc, outer);
        pan_cumulative_sum_desc.count(desc, count);
        pan_cumulative_sum_desc.inner(desc, inner);
        return desc;
    }
}
