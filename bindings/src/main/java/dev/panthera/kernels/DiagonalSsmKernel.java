package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_diagonal_ssm_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The filter of a diagonal state-space model, discretised by the bilinear transform. With {@code dt = exp(logDt[h])},
 * {@code A = -exp(aRealLog[h,n]) + i aImag[h,n]} and complex b and c:
 * <pre>
 * Abar = (1 + dt A / 2) / (1 - dt A / 2)      Cbar = b[h,n] c[h,n] dt / (1 - dt A / 2)
 * filter[l,h] = 2 Re sum_n Cbar Abar^l
 * </pre>
 * Powers are computed in double. Source: Gu et al. 2022 (arXiv 2206.11893), section 3 and table 1; Fu et al. 2022
 * (arXiv 2212.14052), section 3.
 *
 * @param heads  columns of the filter
 * @param modes  complex modes of each head: half its real state
 * @param length taps of the filter
 */
public record DiagonalSsmKernel(long heads, long modes, long length) {

    /**
     * The parameters, or their gradients.
     *
     * @param logDt    (heads)
     * @param aRealLog (heads, modes)
     * @param aImag    (heads, modes)
     * @param b        (heads, modes, 2): real and imaginary parts
     * @param c        (heads, modes, 2)
     */
    public record Parameters(
            @Nullable DeviceBuffer logDt,
            @Nullable DeviceBuffer aRealLog,
            @Nullable DeviceBuffer aImag,
            @Nullable DeviceBuffer b,
            @Nullable DeviceBuffer c) {}

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("diagonal_ssm_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_diagonal_ssm_forward_workspace_size(
                            call.stream(), describe(call), call.size()));
        }
    }

    /**
     * Computes the filter.
     *
     * @param parameters all present
     * @param filter     (length, heads), output
     * @param workspace  {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            Parameters parameters,
            DeviceBuffer filter,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("diagonal_ssm_forward", this);
            Inputs inputs = new Inputs(call, parameters, heads, modes);
            call.finish(
                    PantheraAbi.pan_diagonal_ssm_forward(
                            call.stream(),
                            describe(call),
                            inputs.logDt,
                            inputs.aRealLog,
                            inputs.aImag,
                            inputs.b,
                            inputs.c,
                            call.output("filter", filter, call.parameterType(), filterSize()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("diagonal_ssm_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_diagonal_ssm_backward_workspace_size(
                            call.stream(), describe(call), call.size()));
        }
    }

    /**
     * Adds to the gradients.
     *
     * @param parameters all present
     * @param dfilter    (length, heads)
     * @param gradients  added to; each may be null: not computed
     * @param workspace  {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            Parameters parameters,
            DeviceBuffer dfilter,
            Parameters gradients,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("diagonal_ssm_backward", this);
            DataType real = call.parameterType();
            Inputs inputs = new Inputs(call, parameters, heads, modes);
            long size = Sizes.product(heads, modes);
            long complex = Sizes.product(2, size);
            call.finish(
                    PantheraAbi.pan_diagonal_ssm_backward(
                            call.stream(),
                            describe(call),
                            inputs.logDt,
                            inputs.aRealLog,
                            inputs.aImag,
                            inputs.b,
                            inputs.c,
                            call.input("dfilter", dfilter, real, filterSize()),
                            call.optionalOutput("dlog_dt", gradients.logDt, real, heads),
                            call.optionalOutput("da_real_log", gradients.aRealLog, real, size),
                            call.optionalOutput("da_imag", gradients.aImag, real, size),
                            call.optionalOutput("db", gradients.b, real, complex),
                            call.optionalOutput("dc", gradients.c, real, complex),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long filterSize() {
        return Sizes.product(length, heads);
    }

    private MemorySegment describe(KernelCall call) {
        MemorySegment desc = call.descriptor();
        pan_diagonal_ssm_desc.struct_size(desc, (int) pan_diagonal_ssm_desc.sizeof());
        pan_diagonal_ssm_desc.reserved(desc, 0);
        pan_diagonal_ssm_desc.heads(desc, heads);
        pan_diagonal_ssm_desc.modes(desc, modes);
        pan_diagonal_ssm_desc.length(desc, length);
        return desc;
    }

    /** Addresses of the parameters. */
    static final class Inputs {
        final MemorySegment logDt;
        final MemorySegment aRealLog;
        final MemorySegment aImag;
        final MemorySegment b;
        final MemorySegment c;

        Inputs(KernelCall call, Parameters parameters, long heads, long modes) {
            DataType real = call.parameterType();
            long size = Sizes.product(heads, modes);
            long complex = Sizes.product(2, size);
            logDt = call.input("log_dt", parameters.logDt, real, heads);
            aRealLog = call.input("a_real_log", parameters.aRealLog, real, size);
            aImag = call.input("a_imag", parameters.aImag, real, size);
            b = call.input("b", parameters.b, real, complex);
            c = call.input("c", parameters.c, real, complex);
        }
    }
}
