package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_cumulative_log_sum_exp_desc;
import java.lang.foreign.MemorySegment;

/**
 * Cumulative log-sum-exp along the middle dimension of a dense array: {@code y[o,k,i] = log sum_{j <= k} exp(x[o,j,i])}. Sums are
 * kept relative to a running maximum, so that no x overflows; x may be negative infinity, and y is where all x so far are. An output
 * depends on no later input in any bit.
 *
 * @param outer extent of the dimensions in front
 * @param count extent of the dimension that is summed along
 * @param inner extent of the dimensions behind
 */
public record CumulativeLogSumExpKernel(long outer, long count, long inner) {

    /** Computes y, which may be x. Both are (outer, count, inner). */
    public void forward(DeviceStream stream, DeviceBuffer x, DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("cumulative_log_sum_exp_forward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_cumulative_log_sum_exp_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, elements()),
                            call.output("y", y, type, elements())));
        }
    }

    /**
     * Computes {@code dx[o,j,i] = sum_{k >= j} dy[o,k,i] exp(x[o,j,i] - y[o,k,i])}, 0 where x is negative infinity; dx may be dy.
     */
    public void backward(
            DeviceStream stream, DeviceBuffer x, DeviceBuffer y, DeviceBuffer dy, DeviceBuffer dx) {
        synchronized (stream) {
            KernelCall call = stream.call("cumulative_log_sum_exp_backward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_cumulative_log_sum_exp_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, elements()),
                            call.input("y", y, type, elements()),
                            call.input("dy", dy, type, elements()),
                            call.output("dx", dx, type, elements())));
        }
    }

    private long elements() {
        return Sizes.product(outer, count, inner);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_cumulative_log_sum_exp_desc.struct_size(
                desc, (int) pan_cumulative_log_sum_exp_desc.sizeof());
        pan_cumulative_log_sum_exp_desc.dtype(desc, type.code());
        pan_cumulative_log_sum_exp_desc.outer(desc, outer);
        pan_cumulative_log_sum_exp_desc.count(desc, count);
        pan_cumulative_log_sum_exp_desc.inner(desc, inner);
        return desc;
    }
}
