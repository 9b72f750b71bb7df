package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_block_top_k_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The blocks whose keys fit a query best, of those that have ended before it. With t a position, that of query {@code t - first}:
 * <pre>
 * x[t,j]      = scale * mean over the query heads of q[t] . key[j]      (j + 1) * blockSize &lt;= t
 * weight[t,j] = exp(x[t,j]) / (exp(-1000) + sum_i exp(x[t,i]))
 * </pre>
 * Has no gradient. Source: Yuan et al. 2025 (arXiv 2502.11089), eq. 8 to 11; the dummy weight is that of the common
 * implementations.
 *
 * @param scale     multiplies q . k, usually 1 / sqrt(headDim)
 * @param minWeight blocks whose weight is not larger are left out; -1: none is
 * @param batch     sequences
 * @param heads     heads of queries
 * @param kvHeads   divides heads; each has one list for all its query heads
 * @param length    queries of a sequence
 * @param first     position of the first query, 0 but for decoding
 * @param headDim   elements of a head
 * @param blocks    keys; at most {@code (first + length) / blockSize}
 * @param blockSize positions of a block
 * @param k         blocks wanted of each query
 * @param own       whether a last entry is the block that the query is in, finished or not
 * @param q         layout of q
 * @param key       layout of the keys
 */
public record BlockTopKKernel(
        float scale,
        float minWeight,
        long batch,
        long heads,
        long kvHeads,
        long length,
        long first,
        long headDim,
        long blocks,
        long blockSize,
        long k,
        boolean own,
        HeadLayout q,
        HeadLayout key) {

    /** Of {@code minWeight}: no block is left out. */
    public static final float ANY_WEIGHT = -1;

    /** What {@link #list} writes. */
    public BlockLists lists() {
        return new BlockLists(slots(), blockSize, 1, batch, kvHeads);
    }

    /** Bytes of scratch that {@link #list} needs. */
    public long workspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("block_top_k_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_block_top_k_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Lists the blocks.
     *
     * @param qValues   (batch, length, heads, headDim) in layout q
     * @param keyValues (batch, blocks, kvHeads, headDim) in layout key; may be null if there are no blocks
     * @param listed    (batch, kvHeads, length, k), or k + 1 with the own block, of I32, output: the k largest, ascending by
     *                  block, of equal ones the first; -1 behind them where there are fewer; then the query's own. A score
     *                  that is NaN or -infinity is not listed
     * @param workspace {@link #workspaceBytes}; may be null if 0
     */
    public void list(
            DeviceStream stream,
            DeviceBuffer qValues,
            @Nullable DeviceBuffer keyValues,
            DeviceBuffer listed,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("block_top_k", this);
            DataType type = call.activationType(qValues);
            long entries = Sizes.product(Sizes.product(batch, kvHeads), length, slots());
            long keys = blocks == 0 ? 0 : key.extent(batch, blocks, kvHeads, headDim);
            call.finish(
                    PantheraAbi.pan_block_top_k(
                            call.stream(),
                            describe(call, type),
                            call.input("q", qValues, type, q.extent(batch, length, heads, headDim)),
                            call.optionalInput("key", keyValues, type, keys),
                            call.output("listed", listed, DataType.I32, entries),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long slots() {
        return own ? Sizes.sum(k, 1) : k;
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_block_top_k_desc.struct_size(desc, (int) pan_block_top_k_desc.sizeof());
        pan_block_top_k_desc.dtype(desc, type.code());
        pan_block_top_k_desc.scale(desc, scale);
        pan_block_top_k_desc.min_weight(desc, minWeight);
        pan_block_top_k_desc.batch(desc, batch);
        pan_block_top_k_desc.heads(desc, heads);
        pan_block_top_k_desc.kv_heads(desc, kvHeads);
        pan_block_top_k_desc.length(desc, length);
        pan_block_top_k_desc.first(desc, first);
        pan_block_top_k_desc.head_dim(desc, headDim);
        pan_block_top_k_desc.blocks(desc, blocks);
        pan_block_top_k_desc.block_size(desc, blockSize);
        pan_block_top_k_desc.k(desc, k);
        pan_block_top_k_desc.own(desc, own ? 1 : 0);
        pan_block_top_k_desc.reserved(desc, 0);
        q.write(pan_block_top_k_desc.q(desc));
        key.write(pan_block_top_k_desc.key(desc));
        return desc;
    }
}
