package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_shift_ssm_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The filter of a shift state-space model:
 * <pre>
 * filter[l,h] = sum_{n=0}^{stateSize-1-l} b[h,n] c[h,n+l]      for l &lt; stateSize, else 0
 * </pre>
 * Source: Fu et al. 2022 (arXiv 2212.14052), section 3.
 *
 * @param channels  columns of the filter
 * @param stateSize numbers of each channel's state
 * @param length    taps of the filter; those from {@code stateSize} on are 0
 */
public record ShiftSsmKernel(long channels, long stateSize, long length) {

    /**
     * Computes the filter.
     *
     * @param b      (channels, stateSize), a parameter
     * @param c      (channels, stateSize), a parameter
     * @param filter (length, channels), output
     */
    public void forward(DeviceStream stream, DeviceBuffer b, DeviceBuffer c, DeviceBuffer filter) {
        synchronized (stream) {
            KernelCall call = stream.call("shift_ssm_forward", this);
            DataType real = call.parameterType();
            long size = Sizes.product(channels, stateSize);
            call.finish(
                    PantheraAbi.pan_shift_ssm_forward(
                            call.stream(),
                            describe(call),
                            call.input("b", b, real, size),
                            call.input("c", c, real, size),
                            call.output("filter", filter, real, Sizes.product(length, channels))));
        }
    }

    /**
     * Adds to the gradients.
     *
     * @param dfilter (length, channels)
     * @param db      added to; null: not computed
     * @param dc      added to; null: not computed
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer b,
            DeviceBuffer c,
            DeviceBuffer dfilter,
            @Nullable DeviceBuffer db,
            @Nullable DeviceBuffer dc) {
        synchronized (stream) {
            KernelCall call = stream.call("shift_ssm_backward", this);
            DataType real = call.parameterType();
            long size = Sizes.product(channels, stateSize);
            call.finish(
                    PantheraAbi.pan_shift_ssm_backward(
                            call.stream(),
                            describe(call),
                            call.input("b", b, real, size),
                            call.input("c", c, real, size),
                            call.input("dfilter", dfilter, real, Sizes.product(length, channels)),
                            call.optionalOutput("db", db, real, size),
                            call.optionalOutput("dc", dc, real, size)));
        }
    }

    private MemorySegment describe(KernelCall call) {
        MemorySegment desc = call.descriptor();
        pan_shift_ssm_desc.struct_size(desc, (int) pan_shift_ssm_desc.sizeof());
        pan_shift_ssm_desc.reserved(desc, 0);
        pan_shift_ssm_desc.channels(desc, channels);
        pan_shift_ssm_desc.state_size(desc, stateSize);
        pan_shift_ssm_desc.length(desc, length);
        return desc;
    }
}
