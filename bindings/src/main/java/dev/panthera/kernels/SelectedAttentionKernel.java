package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import org.jspecify.annotations.Nullable;

/**
 * {@link AttentionKernel} of chosen positions alone, which see all positions up to their own, or those of the window. Where
 * a position is not chosen, o and the gradient of q are 0, and lse is -infinity. Which ones are is read on the device, and
 * the cost is that of the chosen positions x length.
 *
 * <p>An output depends on no later input in any bit, on none of what is chosen later either. Dropout is that of the
 * attention. Source: Arora et al. 2023 (arXiv 2312.04927), section 5.
 *
 * @param attention of all positions, without a list of queries; {@code batch * length} is below 2^31
 */
public record SelectedAttentionKernel(AttentionKernel attention) {

    /** Over the arrays of {@link AttentionKernel#packed(long, long, long, long, long, float, long)}. */
    public static SelectedAttentionKernel packed(
            long batch,
            long length,
            long heads,
            long headDim,
            long window,
            float dropoutProbability,
            long dropoutKey) {
        return new SelectedAttentionKernel(
                AttentionKernel.packed(
                        batch, length, heads, headDim, window, dropoutProbability, dropoutKey));
    }

    /** {@link #forward} of a kernel from {@link #packed}, with q, k and v in one array. */
    public void forwardPacked(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer chosen,
            DeviceBuffer qkv,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        forward(
                stream,
                random,
                chosen,
                attention.part(qkv, 0),
                attention.part(qkv, 1),
                attention.part(qkv, 2),
                oValues,
                lse,
                workspace);
    }

    /** {@link #backward} of a kernel from {@link #packed}, with dq, dk and dv in one array, which is written. */
    public void backwardPacked(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer chosen,
            DeviceBuffer qkv,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            DeviceBuffer dO,
            DeviceBuffer dqkv,
            @Nullable DeviceBuffer workspace) {
        backward(
                stream,
                random,
                chosen,
                attention.part(qkv, 0),
                attention.part(qkv, 1),
                attention.part(qkv, 2),
                oValues,
                lse,
                dO,
                attention.part(dqkv, 0),
                attention.part(dqkv, 1),
                attention.part(dqkv, 2),
                workspace);
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("selected_attention_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_selected_attention_forward_workspace_size(
                            call.stream(),
                            attention.describe(call, call.parameterType()),
                            call.size()));
        }
    }

    /**
     * Computes o and what backward needs.
     *
     * @param random    may be null if the dropout probability is 0
     * @param chosen    (batch, length) of the type of q: a position attends if its element is not 0
     * @param qValues   (batch, length, heads, headDim) in layout q; q, k and v may interleave in one array
     * @param kValues   likewise in layout k
     * @param vValues   likewise in layout v
     * @param oValues   likewise in layout o, output
     * @param lse       (batch, heads, length), a statistic, output
     * @param workspace {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer chosen,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("selected_attention_forward", this);
            DataType type = call.activationType(qValues);
            call.finish(
                    PantheraAbi.pan_selected_attention_forward(
                            call.stream(),
                            attention.describe(call, type),
                            call.optionalBlock("random", random),
                            call.input("chosen", chosen, type, positions()),
                            call.input("q", qValues, type, attention.extent(attention.q())),
                            call.input("k", kValues, type, attention.extent(attention.k())),
                            call.input("v", vValues, type, attention.extent(attention.v())),
                            call.output("o", oValues, type, attention.extent(attention.o())),
                            call.output("lse", lse, call.parameterType(), attention.statistics()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("selected_attention_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_selected_attention_backward_workspace_size(
                            call.stream(),
                            attention.describe(call, call.parameterType()),
                            call.size()));
        }
    }

    /**
     * Computes gradients as {@link AttentionKernel#backward} does, of sums over the chosen positions. None passes to
     * chosen.
     *
     * @param random    as in forward
     * @param chosen    of forward
     * @param oValues   of forward
     * @param lse       of forward
     * @param dO        gradient of o, in layout o; where a position is not chosen, it does not count
     * @param dq        in layout q, written; dq, dk and dv may interleave in one array
     * @param dk        in layout k, written at all positions: 0 where no query sees them
     * @param dv        likewise in layout v
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer chosen,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            DeviceBuffer dO,
            DeviceBuffer dq,
            DeviceBuffer dk,
            DeviceBuffer dv,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("selected_attention_backward", this);
            DataType type = call.activationType(qValues);
            call.finish(
                    PantheraAbi.pan_selected_attention_backward(
                            call.stream(),
                            attention.describe(call, type),
                            call.optionalBlock("random", random),
                            call.input("chosen", chosen, type, positions()),
                            call.input("q", qValues, type, attention.extent(attention.q())),
                            call.input("k", kValues, type, attention.extent(attention.k())),
                            call.input("v", vValues, type, attention.extent(attention.v())),
                            call.input("o", oValues, type, attention.extent(attention.o())),
                            call.input("lse", lse, call.parameterType(), attention.statistics()),
                            call.input("d_o", dO, type, attention.extent(attention.o())),
                            call.output("dq", dq, type, attention.extent(attention.q())),
                            call.output("dk", dk, type, attention.extent(attention.k())),
                            call.output("dv", dv, type, attention.extent(attention.v())),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long positions() {
        return Sizes.product(attention.batch(), attention.length());
    }
}
