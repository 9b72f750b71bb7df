package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_wkv_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The recurrence of RWKV-4 (Peng et al. 2023, arXiv 2305.13048, eq. 16): an average of the values with weights that decay, the
 * current one with a bonus.
 * <pre>
 * y[t] = ( sum_{s&lt;t} exp(-(t-1-s) exp(decay) + k[s]) v[s] + exp(first + k[t]) v[t] )
 *        / ( the same without v )                                   for each example and channel
 * </pre>
 * Sums are kept relative to a running exponent, so that no k overflows. A k of minus infinity has no weight; y is 0 where
 * nothing has.
 *
 * @param batch    sequences
 * @param length   positions of a sequence
 * @param channels of a position
 */
public record WkvKernel(long batch, long length, long channels) {

    /** Numbers of a channel's state: numerator, denominator, and the exponent that both are relative to. */
    public static final int STATE_ROWS = 3;

    /**
     * Computes y.
     *
     * @param k            (batch, length, channels)
     * @param v            (batch, length, channels)
     * @param decay        (channels), a parameter
     * @param first        (channels), a parameter
     * @param initialState (batch, 3, channels) that an earlier call wrote; zeros, or null: nothing came before
     * @param y            (batch, length, channels), output
     * @param finalState   output of the shape of {@code initialState}, which it may be; null: not needed
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer k,
            DeviceBuffer v,
            DeviceBuffer decay,
            DeviceBuffer first,
            @Nullable DeviceBuffer initialState,
            DeviceBuffer y,
            @Nullable DeviceBuffer finalState) {
        synchronized (stream) {
            KernelCall call = stream.call("wkv_forward", this);
            DataType type = call.activationType(k);
            DataType real = call.parameterType();
            long elements = Sizes.product(batch, length, channels);
            long state = Sizes.product(batch, STATE_ROWS, channels);
            call.finish(
                    PantheraAbi.pan_wkv_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("k", k, type, elements),
                            call.input("v", v, type, elements),
                            call.input("decay", decay, real, channels),
                            call.input("first", first, real, channels),
                            call.optionalInput("initial_state", initialState, real, state),
                            call.output("y", y, type, elements),
                            call.optionalOutput("final_state", finalState, real, state)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("wkv_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_wkv_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients of {@link #forward} without an initial state.
     *
     * @param dk        written; null: not computed
     * @param dv        written; null: not computed
     * @param ddecay    added to; null: not computed
     * @param dfirst    added to; null: not computed
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer k,
            DeviceBuffer v,
            DeviceBuffer decay,
            DeviceBuffer first,
            DeviceBuffer dy,
            @Nullable DeviceBuffer dk,
            @Nullable DeviceBuffer dv,
            @Nullable DeviceBuffer ddecay,
            @Nullable DeviceBuffer dfirst,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("wkv_backward", this);
            DataType type = call.activationType(k);
            DataType real = call.parameterType();
            long elements = Sizes.product(batch, length, channels);
            call.finish(
                    PantheraAbi.pan_wkv_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("k", k, type, elements),
                            call.input("v", v, type, elements),
                            call.input("decay", decay, real, channels),
                            call.input("first", first, real, channels),
                            call.input("dy", dy, type, elements),
                            call.optionalOutput("dk", dk, type, elements),
                            call.optionalOutput("dv", dv, type, elements),
                            call.optionalOutput("ddecay", ddecay, real, channels),
                            call.optionalOutput("dfirst", dfirst, real, channels),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_wkv_desc.struct_size(desc, (int) pan_wkv_desc.sizeof());
        pan_wkv_desc.dtype(desc, type.code());
        pan_wkv_desc.batch(desc, batch);
        pan_wkv_desc.length(desc, length);
        pan_wkv_desc.channels(desc, channels);
        return desc;
    }
}
