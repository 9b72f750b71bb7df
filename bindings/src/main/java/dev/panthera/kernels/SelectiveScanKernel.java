package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_selective_scan_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The selective scan of Mamba (S6). For each example, with {@code d[t,e] = softplus(delta[t,e] + deltaBias[e])},
 * <pre>
 * h[t,e,n] = exp(-d[t,e] exp(aLog[e,n])) h[t-1,e,n] + d[t,e] b[t,n] u[t,e]
 * y[t,e] = ( sum_n c[t,n] h[t,e,n] + skip[e] u[t,e] ) * SiLU(z[t,e])
 * </pre>
 * Source: Gu and Dao 2023 (arXiv 2312.00752), algorithm 2 and section 3.3.
 *
 * @param batch       sequences
 * @param length      positions of a sequence
 * @param channels    of a position, e
 * @param stateSize   numbers n that each channel remembers
 * @param uStride     elements between positions of u and du; at least {@code channels}
 * @param deltaStride likewise of delta and ddelta
 * @param bStride     likewise of b and db; at least {@code stateSize}
 * @param cStride     likewise of c and dc; at least {@code stateSize}
 * @param zStride     likewise of z and dz; at least {@code channels}; ignored where z is null
 * @param yStride     likewise of y and dy; at least {@code channels}
 */
public record SelectiveScanKernel(
        long batch,
        long length,
        long channels,
        long stateSize,
        long uStride,
        long deltaStride,
        long bStride,
        long cStride,
        long zStride,
        long yStride) {

    /** Of dense arrays. */
    public SelectiveScanKernel(long batch, long length, long channels, long stateSize) {
        this(
                batch, length, channels, stateSize, channels, channels, stateSize, stateSize,
                channels, channels);
    }

    /**
     * What is scanned.
     *
     * @param u         (batch, length, channels)
     * @param delta     (batch, length, channels), step sizes before bias and softplus
     * @param aLog      (channels, stateSize), a parameter
     * @param b         (batch, length, stateSize)
     * @param c         (batch, length, stateSize)
     * @param skip      (channels), a parameter; null: 0
     * @param deltaBias (channels), a parameter; null: 0
     * @param z         (batch, length, channels); null: no gate
     */
    public record Inputs(
            DeviceBuffer u,
            DeviceBuffer delta,
            DeviceBuffer aLog,
            DeviceBuffer b,
            DeviceBuffer c,
            @Nullable DeviceBuffer skip,
            @Nullable DeviceBuffer deltaBias,
            @Nullable DeviceBuffer z) {}

    /**
     * Where the gradients of the inputs go: du, ddelta, db, dc and dz are written, the others added to.
     *
     * @param dskip      null: not computed
     * @param ddeltaBias null: not computed
     * @param dz         null exactly if z is
     */
    public record Gradients(
            DeviceBuffer du,
            DeviceBuffer ddelta,
            DeviceBuffer daLog,
            DeviceBuffer db,
            DeviceBuffer dc,
            @Nullable DeviceBuffer dskip,
            @Nullable DeviceBuffer ddeltaBias,
            @Nullable DeviceBuffer dz) {}

    /** Bytes of what {@link #forward} keeps for {@link #backward}. */
    public long checkpointsBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("selective_scan_checkpoints_size", this);
            return call.finishSize(
                    PantheraAbi.pan_selective_scan_checkpoints_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("selective_scan_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_selective_scan_forward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes y.
     *
     * @param initialState (batch, stateSize, channels) that an earlier call wrote; null: 0
     * @param y            (batch, length, channels), output
     * @param checkpoints  {@link #checkpointsBytes}, output; null if there will be no backward
     * @param finalState   (batch, stateSize, channels), output; may be {@code initialState}, or null
     * @param workspace    {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            Inputs inputs,
            @Nullable DeviceBuffer initialState,
            DeviceBuffer y,
            @Nullable DeviceBuffer checkpoints,
            @Nullable DeviceBuffer finalState,
            @Nullable DeviceBuffer workspace) {
        long kept = checkpoints == null ? 0 : checkpointElements(stream);
        synchronized (stream) {
            KernelCall call = stream.call("selective_scan_forward", this);
            DataType type = call.activationType(inputs.u);
            DataType real = call.parameterType();
            long state = Sizes.product(batch, stateSize, channels);
            call.finish(
                    PantheraAbi.pan_selective_scan_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("u", inputs.u, type, extent(uStride)),
                            call.input("delta", inputs.delta, type, extent(deltaStride)),
                            call.input("a_log", inputs.aLog, real, rates()),
                            call.input("b", inputs.b, type, stateExtent(bStride)),
                            call.input("c", inputs.c, type, stateExtent(cStride)),
                            call.optionalInput("skip", inputs.skip, real, channels),
                            call.optionalInput("delta_bias", inputs.deltaBias, real, channels),
                            call.optionalInput("z", inputs.z, type, extent(zStride)),
                            call.optionalInput("initial_state", initialState, real, state),
                            call.output("y", y, type, extent(yStride)),
                            call.optionalOutput("checkpoints", checkpoints, real, kept),
                            call.optionalOutput("final_state", finalState, real, state),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("selective_scan_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_selective_scan_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes the gradients of a {@link #forward} without initial state.
     *
     * @param checkpoints that it wrote
     * @param workspace   {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            Inputs inputs,
            DeviceBuffer checkpoints,
            DeviceBuffer dy,
            Gradients gradients,
            @Nullable DeviceBuffer workspace) {
        long kept = checkpointElements(stream);
        synchronized (stream) {
            KernelCall call = stream.call("selective_scan_backward", this);
            DataType type = call.activationType(inputs.u);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_selective_scan_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("u", inputs.u, type, extent(uStride)),
                            call.input("delta", inputs.delta, type, extent(deltaStride)),
                            call.input("a_log", inputs.aLog, real, rates()),
                            call.input("b", inputs.b, type, stateExtent(bStride)),
                            call.input("c", inputs.c, type, stateExtent(cStride)),
                            call.optionalInput("skip", inputs.skip, real, channels),
                            call.optionalInput("delta_bias", inputs.deltaBias, real, channels),
                            call.optionalInput("z", inputs.z, type, extent(zStride)),
                            call.input("checkpoints", checkpoints, real, kept),
                            call.input("dy", dy, type, extent(yStride)),
                            call.output("du", gradients.du, type, extent(uStride)),
                            call.output("ddelta", gradients.ddelta, type, extent(deltaStride)),
                            call.output("da_log", gradients.daLog, real, rates()),
                            call.output("db", gradients.db, type, stateExtent(bStride)),
                            call.output("dc", gradients.dc, type, stateExtent(cStride)),
                            call.optionalOutput("dskip", gradients.dskip, real, channels),
                            call.optionalOutput(
                                    "ddelta_bias", gradients.ddeltaBias, real, channels),
                            call.optionalOutput("dz", gradients.dz, type, extent(zStride)),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long checkpointElements(DeviceStream stream) {
        return checkpointsBytes(stream) / stream.device().parameterType().bytes();
    }

    private long rates() {
        return Sizes.product(channels, stateSize);
    }

    private long extent(long stride) {
        return Sizes.extent(Sizes.product(batch, length), stride, channels);
    }

    private long stateExtent(long stride) {
        return Sizes.extent(Sizes.product(batch, length), stride, stateSize);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_selective_scan_desc.struct_size(desc, (int) pan_selective_scan_desc.sizeof());
        pan_selective_scan_desc.dtype(desc, type.code());
        pan_selective_scan_desc.batch(desc, batch);
        pan_selective_scan_desc.length(desc, length);
        pan_selective_scan_desc.channels(desc, channels);
        pan_selective_scan_desc.state_size(desc, stateSize);
        pan_selective_scan_desc.u_stride(desc, uStride);
        pan_selective_scan_desc.delta_stride(desc, deltaStride);
        pan_selective_scan_desc.b_stride(desc, bStride);
        pan_selective_scan_desc.c_stride(desc, cStride);
        pan_selective_scan_desc.z_stride(desc, zStride);
        pan_selective_scan_desc.y_stride(desc, yStride);
        return desc;
    }
}
