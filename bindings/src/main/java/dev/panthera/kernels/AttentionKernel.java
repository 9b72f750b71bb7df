package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_attention_desc;
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
 * <p>With {@code queries}, a list says which positions are queries: q, o and their gradients then have a row for each
 * entry of the list, which is what that position's row would be without it, and the cost is {@code queries} x length.
 *
 * @param scale              multiplies the scores, usually 1 / sqrt(headDim)
 * @param dropoutProbability of dropping a softmax weight, in [0, 1)
 * @param batch              sequences
 * @param heads              heads of a position
 * @param length             positions of a sequence
 * @param headDim            elements of a head
 * @param window             how many positions a query sees, its own included; 0: all up to its own
 * @param queries            entries of the list of queries; 0 without one: every position is a query
 * @param dropoutKey         tells apart the dropouts of one step
 * @param q                  layout of q and dq; likewise below. With {@code queries}, element (i, h, c) of q and o lies
 *                           at {@code i * lengthStride + h * headStride + c}, whatever the batch stride
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
        long queries,
        long dropoutKey,
        HeadLayout q,
        HeadLayout k,
        HeadLayout v,
        HeadLayout o) {

    /** Every position is a query. */
    public AttentionKernel(
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
        this(
                scale,
                dropoutProbability,
                batch,
                heads,
                length,
                headDim,
                window,
                0,
                dropoutKey,
                q,
                k,
                v,
                o);
    }

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

    /**
     * Of listed queries: a dense q (queries, heads, headDim) and a dense projection (batch, length, 2, heads, headDim),
     * which holds k and v of a position side by side, with the usual scale and a dense output like q.
     */
    public static AttentionKernel ofQueries(
            long queries,
            long batch,
            long length,
            long heads,
            long headDim,
            long window,
            float dropoutProbability,
            long dropoutKey) {
        HeadLayout rows = HeadLayout.dense(queries, heads, headDim);
        HeadLayout packed = HeadLayout.rows(length, 2 * heads * headDim, headDim);
        return new AttentionKernel(
                (float) (1 / Math.sqrt(headDim)),
                dropoutProbability,
                batch,
                heads,
                length,
                headDim,
                window,
                queries,
                dropoutKey,
                rows,
                packed,
                packed,
                rows);
    }

    /** {@link #forward} of a kernel from {@link #packed}, with q, k and v in one array. */
    public void forwardPacked(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer qkv,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        forward(stream, random, part(qkv, 0), part(qkv, 1), part(qkv, 2), oValues, lse, workspace);
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
                part(qkv, 0),
                part(qkv, 1),
                part(qkv, 2),
                oValues,
                lse,
                dO,
                part(dqkv, 0),
                part(dqkv, 1),
                part(dqkv, 2),
                workspace);
    }

    /** {@link #forward} of a kernel from {@link #ofQueries}, with k and v in one array. */
    public void forwardOfQueries(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer queryRows,
            DeviceBuffer qValues,
            DeviceBuffer kv,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        forward(
                stream,
                random,
                queryRows,
                qValues,
                part(kv, 0),
                part(kv, 1),
                oValues,
                lse,
                workspace);
    }

    /** {@link #backward} of a kernel from {@link #ofQueries}, with dk and dv in one array, which is written. */
    public void backwardOfQueries(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer queryRows,
            DeviceBuffer qValues,
            DeviceBuffer kv,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            DeviceBuffer dO,
            DeviceBuffer dq,
            DeviceBuffer dkv,
            @Nullable DeviceBuffer workspace) {
        backward(
                stream,
                random,
                queryRows,
                qValues,
                part(kv, 0),
                part(kv, 1),
                oValues,
                lse,
                dO,
                dq,
                part(dkv, 0),
                part(dkv, 1),
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

    /** Without a list of queries. */
    public void forward(
            DeviceStream stream,
            @Nullable RandomState random,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            DeviceBuffer lse,
            @Nullable DeviceBuffer workspace) {
        forward(stream, random, null, qValues, kValues, vValues, oValues, lse, workspace);
    }

    /**
     * Computes o and what backward needs. Entries of the list that are out of range or not ascending throw on the CPU;
     * on CUDA they leave what is written unspecified, and {@link DeviceStream#synchronize} throws.
     *
     * @param random    may be null if {@code dropoutProbability} is 0
     * @param queryRows (queries) of I32, the positions that are queries: each {@code b * length + t}, ascending, where
     *                  equal neighbours are two queries; null exactly if {@code queries} is 0
     * @param qValues   (batch, length, heads, headDim) in layout q; q, k and v may interleave in one array. With
     *                  {@code queries}, (queries, heads, headDim)
     * @param kValues   (batch, length, heads, headDim) in layout k
     * @param vValues   likewise in layout v
     * @param oValues   as q, in layout o, output
     * @param lse       (batch, heads, length), a statistic, output: {@code log sum_{s in S(t)} exp(scale * q[t] . k[s])}
     *                  of each query. With {@code queries}, (heads, queries)
     * @param workspace {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            @Nullable RandomState random,
            @Nullable DeviceBuffer queryRows,
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
                            call.optionalInput("query_rows", queryRows, DataType.I32, queries),
                            call.input("q", qValues, type, queryExtent(q)),
                            call.input("k", kValues, type, extent(k)),
                            call.input("v", vValues, type, extent(v)),
                            call.output("o", oValues, type, queryExtent(o)),
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

    /** Without a list of queries. */
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
        backward(
                stream, random, null, qValues, kValues, vValues, oValues, lse, dO, dq, dk, dv,
                workspace);
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
     * @param queryRows as in forward
     * @param oValues   of forward
     * @param lse       of forward
     * @param dO        gradient of o, in layout o
     * @param dq        in layout q, written; dq, dk and dv may interleave in one array
     * @param dk        in layout k, written at all positions: 0 where no query sees them
     * @param dv        likewise in layout v
     * @param workspace {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            @Nullable RandomState random,
            @Nullable DeviceBuffer queryRows,
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
                            call.optionalInput("query_rows", queryRows, DataType.I32, queries),
                            call.input("q", qValues, type, queryExtent(q)),
                            call.input("k", kValues, type, extent(k)),
                            call.input("v", vValues, type, extent(v)),
                            call.input("o", oValues, type, queryExtent(o)),
                            call.input("lse", lse, call.parameterType(), statistics()),
                            call.input("d_o", dO, type, queryExtent(o)),
                            call.output("dq", dq, type, queryExtent(q)),
                            call.output("dk", dk, type, extent(k)),
                            call.output("dv", dv, type, extent(v)),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** A packed array from one of the parts of its rows on; null, which the checks name, for null. */
    @Nullable DeviceBuffer part(@Nullable DeviceBuffer packed, int part) {
        if (packed == null) {
            return null;
        }
        long first = Sizes.product(part, heads, headDim);
        return packed.slice(first, packed.elements() - first);
    }

    long extent(HeadLayout layout) {
        return layout.extent(batch, length, heads, headDim);
    }

    private long queryExtent(HeadLayout layout) {
        return queries == 0 ? extent(layout) : layout.extent(1, queries, heads, headDim);
    }

    long statistics() {
        return queries == 0 ? Sizes.product(batch, heads, length) : Sizes.product(heads, queries);
    }

    MemorySegment describe(KernelCall call, DataType type) {
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
        pan_attention_desc.queries(desc, queries);
        pan_attention_desc.dropout_key(desc, dropoutKey);
        q.write(pan_attention_desc.q(desc));
        k.write(pan_attention_desc.k(desc));
        v.write(pan_attention_desc.v(desc));
        o.write(pan_attention_desc.o(desc));
        return desc;
    }
}
