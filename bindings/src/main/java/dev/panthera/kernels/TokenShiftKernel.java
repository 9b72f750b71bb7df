package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_token_shift_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Mixes every position with the one before it: {@code y[b,t,c] = mix[c] x[b,t,c] + (1 - mix[c]) x[b,t-1,c]}
 * (Peng et al. 2023, arXiv 2305.13048, eq. 11 to 13).
 */
public record TokenShiftKernel(long batch, long length, long channels) {

    /**
     * Computes y.
     *
     * @param x        (batch, length, channels)
     * @param mix      (channels), of the parameters' type
     * @param previous (batch, channels), what comes before the first position; null: 0
     * @param y        (batch, length, channels), output
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer x,
            DeviceBuffer mix,
            @Nullable DeviceBuffer previous,
            DeviceBuffer y) {
        synchronized (stream) {
            KernelCall call = stream.call("token_shift_forward", this);
            DataType type = call.activationType(x);
            call.finish(
                    PantheraAbi.pan_token_shift_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, elements()),
                            call.input("mix", mix, call.parameterType(), channels),
                            call.optionalInput(
                                    "previous", previous, type, Sizes.product(batch, channels)),
                            call.output("y", y, type, elements())));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("token_shift_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_token_shift_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients where nothing came before the first position.
     * <pre>
     * dx[b,t] = mix dy[b,t] + (1 - mix) dy[b,t+1]      dmix[c] += sum_{b,t} dy[b,t,c] (x[b,t,c] - x[b,t-1,c])
     * </pre>
     *
     * @param dx        written; null: not computed
     * @param dmix      added to; null: not computed
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer x,
            DeviceBuffer mix,
            DeviceBuffer dy,
            @Nullable DeviceBuffer dx,
            @Nullable DeviceBuffer dmix,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("token_shift_backward", this);
            DataType type = call.activationType(x);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_token_shift_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("x", x, type, elements()),
                            call.input("mix", mix, real, channels),
                            call.input("dy", dy, type, elements()),
                            call.optionalOutput("dx", dx, type, elements()),
                            call.optionalOutput("dmix", dmix, real, channels),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long elements() {
        return Sizes.product(batch, length, channels);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_token_shift_desc.struct_size(desc, (int) pan_token_shift_desc.sizeof());
        pan_token_shift_desc.dtype(desc, type.code());
        pan_token_shift_desc.batch(desc, batch);
        pan_token_shift_desc.length(desc, length);
        pan_token_shift_desc.channels(desc, channels);
        return desc;
    }
}
