package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_attention_desc;
import dev.panthera.kernels.abi.pan_head_layout;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Causal multi-head attention, full or over a sliding window, computed in blocks: no array of length x length is ever
 * formed, and blocks outside the window cost nothing. With {@code S(t) = { s : t - window < s <= t }}, or
 * {@code { s <= t }} if the window is 0:
 * <pre>
 * p[t,s] = softmax over s in S(t) of (scale * q[t] . k[s])
 * o[t]   = sum_{s in S(t)} keep(t,s) p[t,s] / (1 - dropoutProbability) v[s]
 * </pre>
 * Source: Vaswani et al. 2017 (arXiv 1706.03762), eq. 1; blocks after Dao 2023 (arXiv 2307.08691).
 *
 * @param scale              multiplies the scores, usually 1 / sqrt(headDim)
 * @param dropoutProbability of dropping a softmax weight, in [0, 1)
 * @param batch              sequences
 * @param heads              heads of a position
 * @param length             positions of a sequence
 * @param headDim            elements of a head
 * @param window             how many positions a query sees, its own included; 0: all up to its own
 * @param dropoutKey         tells apart the dropouts of one step
 * @param q                  layout of q and dq; likewise below
 * @param k                  layout of k and dk
 * @param v                  layout of v and dv
 * @param o                  layout of o and its gradient
 */
public record AttentionKernel(
        float scale,
        float dropoutProbability,
        long batch,
        long heads,
        long length,
        long headDim,
        long window,
        long dropoutKey,
        HeadLayout q,
        HeadLayout k,
        HeadLayout v,
        HeadLayout o) {

    /**
     * Of a dense projection (batch, length, 3, heads, headDim), which holds q, k and v of a position side by side, with
     * the usual scale and a dense output (batch, length, heads, headDim).
     */
    public static AttentionKernel packed(
            long batch,
            long length,
            long heads,
            long headDim,
            float dropoutProbability,
            long dropoutKey) {
        return packed(batch, length, heads, headDim, 0, dropoutProbability, dropoutKey);
    }

    /** As {@link #packed(long, long, long, long, float, long)}, over a sliding window. */
    public static AttentionKernel packed(
            long batch,
            long length,
            long heads,
            long headDim,
            long window,
            float dropoutProbability,
            long dropoutKey) {
        HeadLayout packed = HeadLayout.rows(length, 3 * heads * headDim, headDim);
        return new AttentionKernel(
                (float) (1 / Math.sqrt(headDim)),
                dropoutProbability,
                batch,
                heads,
                length,
                headDim,
                window,
                dropoutKey,
                packed,
                packed,
                packed,
                HeadLayout.dense(length, heads, headDim));
    }

    /** {@link #forward} of a kernel from {@link #packed}, with q, k and v in one array. */
    public void forwardPacked(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer qkv,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        forward(
                stream,
                random,
                third(qkv, 0),
                third(qkv, 1),
                third(qkv, 2),
                oValues,
                lse,
                workspace);
    }

    /** {@link #backward} of a kernel from {@link #packed}, with dq, dk and dv in one array, which is written. */
    public void backwardPacked(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer qkv,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            DeviceBuffer dO,
            DeviceBuffer dqkv,
            @Nullable DeviceBuffer workspace) {
        backward(
                stream,
                random,
                third(qkv, 0),
                third(qkv, 1),
                third(qkv, 2),
                oValues,
                lse,
                dO,
                third(dqkv, 0),
                third(dqkv, 1),
                third(dqkv, 2),
                workspace);
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("attention_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_attention_forward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes o and what backward needs.
     *
     * @param random    may be null if {@code dropoutProbability} is 0
     * @param qValues   (batch, length, heads, headDim) in layout q; q, k and v may interleave in one array
     * @param kValues   likewise in layout k
     * @param vValues   likewise in layout v
     * @param oValues   likewise in layout o, output
     * @param lse       (batch, heads, length), a statistic, output: {@code log sum_{s in S(t)} exp(scale * q[t] . k[s])}
     * @param workspace {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("attention_forward", this);
            DataType type = call.activationType(qValues);
            call.finish(
                    PantheraAbi.pan_attention_forward(
                            call.stream(),
                            describe(call, type),
                            call.optionalBlock("random", random),
                            MemorySegment.NULL,
                            call.input("q", qValues, type, extent(q)),
                            call.input("k", kValues, type, extent(k)),
                            call.input("v", vValues, type, extent(v)),
                            call.output("o", oValues, type, extent(o)),
                            call.output("lse", lse, call.parameterType(), statistics()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("attention_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_attention_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients by recomputation from lse. With {@code m = keep / (1 - dropoutProbability)}, {@code P = m p}
     * and {@code D[t] = do[t] . o[t]}:
     * <pre>
     * dv[s] = sum_t P[t,s] do[t]      dp[t,s] = p[t,s] (m[t,s] do[t] . v[s] - D[t])
     * dq[t] = scale * sum_s dp[t,s] k[s]      dk[s] = scale * sum_t dp[t,s] q[t]
     * </pre>
     *
     * @param random    as in forward
     * @param oValues   of forward
     * @param lse       of forward
     * @param dO        gradient of o, in layout o
     * @param dq        in layout q, written; dq, dk and dv may interleave in one array
     * @param dk        in layout k, written
     * @param dv        in layout v, written
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            @Nullable RandomState random,
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
            KernelCall call = stream.call("attention_backward", this);
            DataType type = call.activationType(qValues);
            call.finish(
                    PantheraAbi.pan_attention_backward(
                            call.stream(),
                            describe(call, type),
                            call.optionalBlock("random", random),
                            MemorySegment.NULL,
                            call.input("q", qValues, type, extent(q)),
                            call.input("k", kValues, type, extent(k)),
                            call.input("v", vValues, type, extent(v)),
                            call.input("o", oValues, type, extent(o)),
                            call.input("lse", lse, call.parameterType(), statistics()),
                            call.input("d_o", dO, type, extent(o)),
                            call.output("dq", dq, type, extent(q)),
                            call.output("dk", dk, type, extent(k)),
                            call.output("dv", dv, type, extent(v)),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** A packed array from its q, k or v on; null, which the checks name, for null. */
    private @Nullable DeviceBuffer third(@Nullable DeviceBuffer packed, int part) {
        if (packed == null) {
            return null;
        }
        long first = Sizes.product(part, heads, headDim);
        return packed.slice(first, packed.elements() - first);
    }

    private long extent(HeadLayout layout) {
        return layout.extent(batch, length, heads, headDim);
    }

    private long statistics() {
        return Sizes.product(batch, heads, length);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_attention_desc.struct_size(desc, (int) pan_attention_desc.sizeof());
        pan_attention_desc.dtype(desc, type.code());
        pan_attention_desc.scale(desc, scale);
        pan_attention_desc.dropout_probability(desc, dropoutProbability);
        pan_attention_desc.batch(desc, batch);
        pan_attention_desc.heads(desc, heads);
        pan_attention_desc.length(desc, length);
        pan_attention_desc.head_dim(desc, headDim);
        pan_attention_desc.window(desc, window);
        pan_attention_desc.dropout_key(desc, dropoutKey);
        describe(pan_attention_desc.q(desc), q);
        describe(pan_attention_desc.k(desc), k);
        describe(pan_attention_desc.v(desc), v);
        describe(pan_attention_desc.o(desc), o);
        return desc;
    }

    private static void describe(MemorySegment struct, HeadLayout layout) {
        pan_head_layout.batch_stride(struct, layout.batchStride());
        pan_head_layout.length_stride(struct, layout.lengthStride());
        pan_head_layout.head_stride(struct, layout.headStride());
    }
}
