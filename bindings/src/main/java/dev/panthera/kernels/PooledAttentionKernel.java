package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_pooled_attention_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Causal attention to one key and value for each block of positions, once the block has ended. With t a position, that of query
 * {@code t - first}:
 * <pre>
 * S(t)   = { j &lt; always } and { always + j : (j + 1) * blockSize &lt;= t, j not in an excluded block of t }
 * x[t,j] = scale * q[t] . k[j] (+ bias where j &gt;= always)
 * o[t]   = sum_{j in S(t)} exp(x[t,j] - lse[t]) v[j]      lse[t] = log sum_{j in S(t)} exp(x[t,j])
 * </pre>
 * Where S(t) is empty, o[t] is 0 and lse[t] is -infinity. Source: Yuan et al. 2025 (arXiv 2502.11089), eq. 7; Zeng et al. 2022
 * (arXiv 2207.10284), section 4.
 *
 * @param scale     multiplies q . k, usually 1 / sqrt(headDim)
 * @param bias      added to the scores of blocks: log(blockSize) if a block counts for its positions; else 0
 * @param batch     sequences
 * @param heads     heads of queries
 * @param kvHeads   heads of keys and values; divides heads: query head h has those of {@code h / (heads / kvHeads)}
 * @param length    queries of a sequence
 * @param first     position of the first query, 0 but for decoding
 * @param headDim   elements of a head
 * @param always    leading keys that all queries see, without bias
 * @param blocks    keys behind those, one for each block; at most {@code (first + length) / blockSize}
 * @param blockSize positions of a block
 * @param excluded  blocks that a query does not see, of the same size
 * @param q         layout of q and dq; likewise below
 * @param k         layout of k and dk
 * @param v         layout of v and dv
 * @param o         layout of o and its gradient
 */
public record PooledAttentionKernel(
        float scale,
        float bias,
        long batch,
        long heads,
        long kvHeads,
        long length,
        long first,
        long headDim,
        long always,
        long blocks,
        long blockSize,
        BlockLists excluded,
        HeadLayout q,
        HeadLayout k,
        HeadLayout v,
        HeadLayout o) {

    /**
     * Of all queries, with the usual scale and dense arrays: q and o (batch, length, heads, headDim), k and v (batch, always +
     * blocks, kvHeads, headDim).
     */
    public static PooledAttentionKernel dense(
            float bias,
            long batch,
            long heads,
            long kvHeads,
            long length,
            long headDim,
            long always,
            long blocks,
            long blockSize,
            BlockLists excluded) {
        HeadLayout queries = HeadLayout.dense(length, heads, headDim);
        HeadLayout keys = HeadLayout.dense(always + blocks, kvHeads, headDim);
        return new PooledAttentionKernel(
                (float) (1 / Math.sqrt(headDim)),
                bias,
                batch,
                heads,
                kvHeads,
                length,
                0,
                headDim,
                always,
                blocks,
                blockSize,
                excluded,
                queries,
                keys,
                keys,
                queries);
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("pooled_attention_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_pooled_attention_forward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes o and lse. Entries of the lists that are neither -1 nor a block of the positions throw on the CPU; on CUDA they
     * leave what is written unspecified, and {@link DeviceStream#synchronize} throws.
     *
     * @param excludedBlocks as {@code excluded} says, of I32; null exactly if it has no slots
     * @param qValues        (batch, length, heads, headDim) in layout q
     * @param kValues        (batch, always + blocks, kvHeads, headDim) in layout k; k and v may interleave in one array
     * @param vValues        likewise in layout v
     * @param oValues        as q, in layout o, output
     * @param lse            (batch, heads, length), a statistic, output
     * @param workspace      {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            @Nullable DeviceBuffer excludedBlocks,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("pooled_attention_forward", this);
            DataType type = call.activationType(qValues);
            call.finish(
                    PantheraAbi.pan_pooled_attention_forward(
                            call.stream(),
                            describe(call, type),
                            call.optionalInput(
                                    "excluded",
                                    excludedBlocks,
                                    DataType.I32,
                                    excluded.elements(length)),
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
            KernelCall call = stream.call("pooled_attention_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_pooled_attention_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients of {@link #forward}, where {@code first} is 0, by recomputation from lse. With
     * {@code p[t,j] = exp(x[t,j] - lse[t])} and {@code D[t] = do[t] . o[t]}:
     * <pre>
     * dv[j] = sum_t p[t,j] do[t]      dp[t,j] = p[t,j] (do[t] . v[j] - D[t] + dlse[t])
     * dq[t] = scale * sum_j dp[t,j] k[j]      dk[j] = scale * sum_t dp[t,j] q[t]
     * </pre>
     *
     * @param excludedBlocks as in forward
     * @param oValues        of forward
     * @param lse            of forward
     * @param dO             gradient of o, in layout o; where S(t) is empty it does not count
     * @param dLse           gradient of lse, likewise; null: 0
     * @param dq             in layout q, written
     * @param dk             in layout k, written for all keys: 0 where no query sees them; dk and dv may interleave in one array
     * @param dv             likewise in layout v
     * @param workspace      {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            @Nullable DeviceBuffer excludedBlocks,
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
            KernelCall call = stream.call("pooled_attention_backward", this);
            DataType type = call.activationType(qValues);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_pooled_attention_backward(
                            call.stream(),
                            describe(call, type),
                            call.optionalInput(
                                    "excluded",
                                    excludedBlocks,
                                    DataType.I32,
                                    excluded.elements(length)),
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
        return layout.extent(batch, Sizes.sum(always, blocks), kvHeads, headDim);
    }

    private long statistics() {
        return Sizes.product(batch, heads, length);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_pooled_attention_desc.struct_size(desc, (int) pan_pooled_attention_desc.sizeof());
        pan_pooled_attention_desc.dtype(desc, type.code());
        pan_pooled_attention_desc.scale(desc, scale);
        pan_pooled_attention_desc.bias(desc, bias);
        pan_pooled_attention_desc.batch(desc, batch);
        pan_pooled_attention_desc.heads(desc, heads);
        pan_pooled_attention_desc.kv_heads(desc, kvHeads);
        pan_pooled_attention_desc.length(desc, length);
        pan_pooled_attention_desc.first(desc, first);
        pan_pooled_attention_desc.head_dim(desc, headDim);
        pan_pooled_attention_desc.always(desc, always);
        pan_pooled_attention_desc.blocks(desc, blocks);
        pan_pooled_attention_desc.block_size(desc, blockSize);
        excluded.write(pan_pooled_attention_desc.excluded(desc));
        q.write(pan_pooled_attention_desc.q(desc));
        k.write(pan_pooled_attention_desc.k(desc));
        v.write(pan_pooled_attention_desc.v(desc));
        o.write(pan_pooled_attention_desc.o(desc));
        return desc;
    }
}
