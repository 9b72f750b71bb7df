package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_diagonal_ssm_scan_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The convolution with the filter of {@link DiagonalSsmKernel} as a recurrence, to go on from a state. Channel
 * {@code c = i * heads + h} has the model of head h; with its Abar and Cbar, for t = 0, 1, ...:
 * <pre>
 * state[b,c,n] = Abar[h,n] state[b,c,n] + u[b,t,c]      y[b,t,c] = 2 Re sum_n Cbar[h,n] state[b,c,n]
 * </pre>
 * Computed in double, the state between positions of a call too. Has no gradient.
 *
 * @param batch   sequences
 * @param length  positions of a call
 * @param heads   models
 * @param repeats channels that have the model of a head in common
 * @param modes   complex modes of each head
 */
public record DiagonalSsmScanKernel(long batch, long length, long heads, long repeats, long modes) {

    /** Bytes of scratch that {@link #apply} needs. */
    public long workspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("diagonal_ssm_scan_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_diagonal_ssm_scan_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes y and the state after it.
     *
     * @param u          (batch, length, repeats * heads)
     * @param parameters all present
     * @param state      (batch, repeats * heads, modes, 2): real and imaginary parts, 0 before a sequence; updated in place
     * @param y          (batch, length, repeats * heads), output; may be u
     * @param workspace  {@link #workspaceBytes}; may be null if 0
     */
    public void apply(
            DeviceStream stream,
            DeviceBuffer u,
            DiagonalSsmKernel.Parameters parameters,
            DeviceBuffer state,
            DeviceBuffer y,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("diagonal_ssm_scan", this);
            DataType type = call.activationType(u);
            long channels = Sizes.product(repeats, heads);
            long elements = Sizes.product(batch, length, channels);
            long stateSize = Sizes.product(batch, channels, Sizes.product(2, modes));
            var inputs = new DiagonalSsmKernel.Inputs(call, parameters, heads, modes);
            call.finish(
                    PantheraAbi.pan_diagonal_ssm_scan(
                            call.stream(),
                            describe(call, type),
                            call.input("u", u, type, elements),
                            inputs.logDt,
                            inputs.aRealLog,
                            inputs.aImag,
                            inputs.b,
                            inputs.c,
                            call.output("state", state, call.parameterType(), stateSize),
                            call.output("y", y, type, elements),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_diagonal_ssm_scan_desc.struct_size(desc, (int) pan_diagonal_ssm_scan_desc.sizeof());
        pan_diagonal_ssm_scan_desc.dtype(desc, type.code());
        pan_diagonal_ssm_scan_desc.batch(desc, batch);
        pan_diagonal_ssm_scan_desc.length(desc, length);
        pan_diagonal_ssm_scan_desc.heads(desc, heads);
        pan_diagonal_ssm_scan_desc.repeats(desc, repeats);
        pan_diagonal_ssm_scan_desc.modes(desc, modes);
        return desc;
    }
}
