package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_sparse_attention_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Causal attention over few keys: a query sees the last positions, the first ones and listed blocks, each position once. With t
 * a position, that of query {@code t - first}:
 * <pre>
 * S(t)   = { s &lt;= t : t - s &lt; window, or s &lt; globals, or s in a listed block of t }
 * o[t]   = sum_{s in S(t)} exp(scale * q[t] . k[s] - lse[t]) v[s]
 * lse[t] = log sum_{s in S(t)} exp(scale * q[t] . k[s])
 * </pre>
 * Where S(t) is empty, o[t] is 0 and lse[t] is -infinity. Costs the keys that are seen. Source: Zaheer et al. 2020
 * (arXiv 2007.14062), section 2; Yuan et al. 2025 (arXiv 2502.11089), eq. 11 and 12.
 *
 * @param scale   multiplies the scores, usually 1 / sqrt(headDim)
 * @param batch   sequences
 * @param heads   heads of queries
 * @param kvHeads heads of keys and values; divides heads: query head h has those of {@code h / (heads / kvHeads)}
 * @param length  queries of a sequence
 * @param first   position of the first query, 0 but for decoding; there are {@code first + length} keys, below 2^31
 * @param headDim elements of a head
 * @param window  the last positions that a query sees, its own included; 0: none by this
 * @param globals the first positions, which all see; 0: none by this
 * @param lists   of blocks that a query sees
 * @param q       layout of q and dq; likewise below
 * @param k       layout of k and dk
 * @param v       layout of v and dv
 * @param o       layout of o and its gradient
 */
public record SparseAttentionKernel(
        float scale,
        long batch,
        long heads,
        long kvHeads,
        long length,
        long first,
        long headDim,
        long window,
        long globals,
        BlockLists lists,
        HeadLayout q,
        HeadLayout k,
        HeadLayout v,
        HeadLayout o) {

    /**
     * Of all queries, with the usual scale and dense arrays: q and o (batch, length, heads, headDim), k and v (batch, length,
     * kvHeads, headDim).
     */
    public static SparseAttentionKernel dense(
            long batch,
            long heads,
            long kvHeads,
            long length,
            long headDim,
            long window,
            long globals,
            BlockLists lists) {
        HeadLayout queries = HeadLayout.dense(length, heads, headDim);
        HeadLayout keys = HeadLayout.dense(length, kvHeads, headDim);
        return new SparseAttentionKernel(
                (float) (1 / Math.sqrt(headDim)),
                batch,
                heads,
                kvHeads,
                length,
                0,
                headDim,
                window,
                globals,
                lists,
                queries,
                keys,
                keys,
                queries);
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("sparse_attention_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_sparse_attention_forward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes o and lse. Entries of the lists that are neither -1 nor a block of the keys throw on the CPU; on CUDA they leave
     * what is written unspecified, and {@link DeviceStream#synchronize} throws.
     *
     * @param blocks    as {@code lists} says, of I32; null exactly if it has no slots
     * @param qValues   (batch, length, heads, headDim) in layout q; q, k and v may interleave in one array
     * @param kValues   (batch, first + length, kvHeads, headDim) in layout k
     * @param vValues   likewise in layout v
     * @param oValues   as q, in layout o, output
     * @param lse       (batch, heads, length), a statistic, output
     * @param workspace {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            @Nullable DeviceBuffer blocks,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("sparse_attention_forward", this);
            DataType type = call.activationType(qValues);
            call.finish(
                    PantheraAbi.pan_sparse_attention_forward(
                            call.stream(),
                            describe(call, type),
                            call.optionalInput(
                                    "blocks", blocks, DataType.I32, lists.elements(length)),
                            call.input("q", qValues, type, queryExtent(q)),
                            call.input("k", kValues, type, keyExtent(k)),
                            call.input("v", vValues, type, keyExtent(v)),
                            call.output("o", oValues, type, queryExtent(o)),
                            call.output("lse", lse, call.parameterType(), statistics()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("sparse_attention_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_sparse_attention_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients of {@link #forward}, where {@code first} is 0, by recomputation from lse. With
     * {@code p[t,s] = exp(scale * q[t] . k[s] - lse[t])} and {@code D[t] = do[t] . o[t]}:
     * <pre>
     * dv[s] = sum_t p[t,s] do[t]      dp[t,s] = p[t,s] (do[t] . v[s] - D[t] + dlse[t])
     * dq[t] = scale * sum_s dp[t,s] k[s]      dk[s] = scale * sum_t dp[t,s] q[t]
     * </pre>
     *
     * @param blocks    as in forward
     * @param oValues   of forward
     * @param lse       of forward
     * @param dO        gradient of o, in layout o; where S(t) is empty it does not count
     * @param dLse      gradient of lse, likewise; null: 0
     * @param dq        in layout q, written; dq, dk and dv may interleave in one array
     * @param dk        in layout k, written at all positions: 0 where no query sees them
     * @param dv        likewise in layout v
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            @Nullable DeviceBuffer blocks,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            DeviceBuffer dO,
            @Nullable DeviceBuffer dLse,
            DeviceBuffer dq,
            DeviceBuffer dk,
            DeviceBuffer dv,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("sparse_attention_backward", this);
            DataType type = call.activationType(qValues);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_sparse_attention_backward(
                            call.stream(),
                            describe(call, type),
                            call.optionalInput(
                                    "blocks", blocks, DataType.I32, lists.elements(length)),
                            call.input("q", qValues, type, queryExtent(q)),
                            call.input("k", kValues, type, keyExtent(k)),
                            call.input("v", vValues, type, keyExtent(v)),
                            call.input("o", oValues, type, queryExtent(o)),
                            call.input("lse", lse, real, statistics()),
                            call.input("d_o", dO, type, queryExtent(o)),
                            call.optionalInput("d_lse", dLse, real, statistics()),
                            call.output("dq", dq, type, queryExtent(q)),
                            call.output("dk", dk, type, keyExtent(k)),
                            call.output("dv", dv, type, keyExtent(v)),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long queryExtent(HeadLayout layout) {
        return layout.extent(batch, length, heads, headDim);
    }

    private long keyExtent(HeadLayout layout) {
        return layout.extent(batch, Sizes.sum(first, length), kvHeads, headDim);
    }

    private long statistics() {
        return Sizes.product(batch, heads, length);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_sparse_attention_desc.struct_size(desc, (int) pan_sparse_attention_desc.sizeof());
        pan_sparse_attention_desc.dtype(desc, type.code());
        pan_sparse_attention_desc.scale(desc, scale);
        pan_sparse_attention_desc.reserved(desc, 0);
        pan_sparse_attention_desc.batch(desc, batch);
        pan_sparse_attention_desc.heads(desc, heads);
        pan_sparse_attention_desc.kv_heads(desc, kvHeads);
        pan_sparse_attention_desc.length(desc, length);
        pan_sparse_attention_desc.first(desc, first);
        pan_sparse_attention_desc.head_dim(desc, headDim);
        pan_sparse_attention_desc.window(desc, window);
        pan_sparse_attention_desc.globals(desc, globals);
        lists.write(pan_sparse_attention_desc.lists(desc));
        q.write(pan_sparse_attention_desc.q(desc));
        k.write(pan_sparse_attention_desc.k(desc));
        v.write(pan_sparse_attention_desc.v(desc));
        o.write(pan_sparse_attention_desc.o(desc));
        return desc;
    }
}
