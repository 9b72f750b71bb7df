package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_linear_attention_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Causal linear attention, in chunks: attention within a chunk, and from chunk to chunk a state that does not grow, so that
 * time is proportional to length.
 * <pre>
 * w[t,s] = phi(q[t]) . phi(k[s])      n[t] = sum_{s&lt;=t} w[t,s] + epsilon, or 1 if not normalised
 * o[t]   = sum_{s&lt;=t} w[t,s] v[s] / n[t]
 * </pre>
 * with the terms of an earlier sequence in the sums where there is an initial state. Source: Katharopoulos et al. 2020
 * (arXiv 2006.16236), eq. 9.
 *
 * @param features   what phi is
 * @param normalised whether o is divided by the sum of the weights
 * @param epsilon    added to that sum; at least 0
 * @param batch      sequences
 * @param heads      heads of a position
 * @param length     positions of a sequence
 * @param featureDim elements of a head of q and k
 * @param valueDim   elements of a head of v and o
 * @param q          layout of q and dq; likewise below
 * @param k          layout of k and dk
 * @param v          layout of v and dv
 * @param o          layout of o and its gradient
 */
public record LinearAttentionKernel(
        FeatureKind features,
        boolean normalised,
        float epsilon,
        long batch,
        long heads,
        long length,
        long featureDim,
        long valueDim,
        HeadLayout q,
        HeadLayout k,
        HeadLayout v,
        HeadLayout o) {

    /** Of dense arrays (batch, length, heads, featureDim) and (batch, length, heads, valueDim). */
    public static LinearAttentionKernel dense(
            FeatureKind features,
            boolean normalised,
            float epsilon,
            long batch,
            long heads,
            long length,
            long featureDim,
            long valueDim) {
        HeadLayout queries = HeadLayout.dense(length, heads, featureDim);
        HeadLayout values = HeadLayout.dense(length, heads, valueDim);
        return new LinearAttentionKernel(
                features,
                normalised,
                epsilon,
                batch,
                heads,
                length,
                featureDim,
                valueDim,
                queries,
                queries,
                values,
                values);
    }

    /** Elements of the state: (batch, heads, features, valueDim + 1), the last column the sum of phi(k). */
    public long stateElements() {
        long columns = Sizes.sum(valueDim, 1);
        return Sizes.product(Sizes.product(batch, heads), features.count(featureDim), columns);
    }

    /** Bytes of scratch that {@link #forward} needs. */
    public long forwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("linear_attention_forward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_linear_attention_forward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes o, what backward needs, and the state after the last position. An output depends on no later input in any
     * bit.
     *
     * @param qValues      (batch, length, heads, featureDim) in layout q; q, k and v may interleave in one array
     * @param kValues      likewise in layout k
     * @param vValues      (batch, length, heads, valueDim) in layout v
     * @param initialState {@link #stateElements}, of the parameter type: what an earlier call wrote as {@code finalState};
     *                     null: nothing came before
     * @param oValues      as v, in layout o, output
     * @param denominator  (batch, heads, length), a statistic, output: n[t]; null exactly if not normalised
     * @param finalState   may be null, may be {@code initialState}; output: {@code sum_s phi(k[s]) (v[s] | 1)}
     * @param workspace    {@link #forwardWorkspaceBytes}; may be null if 0
     */
    public void forward(
            DeviceStream stream,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            @Nullable DeviceBuffer initialState,
            DeviceBuffer oValues,
            @Nullable DeviceBuffer denominator,
            @Nullable DeviceBuffer finalState,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("linear_attention_forward", this);
            DataType type = call.activationType(qValues);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_linear_attention_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("q", qValues, type, queryExtent(q)),
                            call.input("k", kValues, type, queryExtent(k)),
                            call.input("v", vValues, type, valueExtent(v)),
                            call.optionalInput(
                                    "initial_state", initialState, real, stateElements()),
                            call.output("o", oValues, type, valueExtent(o)),
                            call.optionalOutput("denominator", denominator, real, statistics()),
                            call.optionalOutput("final_state", finalState, real, stateElements()),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    /** Bytes of scratch that {@link #backward} needs. */
    public long backwardWorkspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("linear_attention_backward_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_linear_attention_backward_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes gradients of {@link #forward} without initial state. With {@code g[t] = do[t] / n[t]} and
     * {@code e[t] = g[t] . o[t]}, which is 0 if not normalised:
     * <pre>
     * dw[t,s] = g[t] . v[s] - e[t]      dv[s] = sum_{t&gt;=s} w[t,s] g[t]
     * dq[t] = sum_{s&lt;=t} dw[t,s] dphi(q[t])^T phi(k[s])      dk[s] = sum_{t&gt;=s} dw[t,s] dphi(k[s])^T phi(q[t])
     * </pre>
     *
     * @param oValues     of forward
     * @param denominator of forward; null exactly if not normalised
     * @param dO          gradient of o, in layout o
     * @param dq          in layout q, written; dq, dk and dv may interleave in one array
     * @param dk          likewise in layout k
     * @param dv          likewise in layout v
     * @param workspace   {@link #backwardWorkspaceBytes}; may be null if 0
     */
    public void backward(
            DeviceStream stream,
            DeviceBuffer qValues,
            DeviceBuffer kValues,
            DeviceBuffer vValues,
            DeviceBuffer oValues,
            @Nullable DeviceBuffer denominator,
            DeviceBuffer dO,
            DeviceBuffer dq,
            DeviceBuffer dk,
            DeviceBuffer dv,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("linear_attention_backward", this);
            DataType type = call.activationType(qValues);
            call.finish(
                    PantheraAbi.pan_linear_attention_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("q", qValues, type, queryExtent(q)),
                            call.input("k", kValues, type, queryExtent(k)),
                            call.input("v", vValues, type, valueExtent(v)),
                            call.input("o", oValues, type, valueExtent(o)),
                            call.optionalInput(
                                    "denominator", denominator, call.parameterType(), statistics()),
                            call.input("d_o", dO, type, valueExtent(o)),
                            call.output("dq", dq, type, queryExtent(q)),
                            call.output("dk", dk, type, queryExtent(k)),
                            call.output("dv", dv, type, valueExtent(v)),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private long queryExtent(HeadLayout layout) {
        return layout.extent(batch, length, heads, featureDim);
    }

    private long valueExtent(HeadLayout layout) {
        return layout.extent(batch, length, heads, valueDim);
    }

    private long statistics() {
        return Sizes.product(batch, heads, length);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_linear_attention_desc.struct_size(desc, (int) pan_linear_attention_desc.sizeof());
        pan_linear_attention_desc.dtype(desc, type.code());
        pan_linear_attention_desc.features(desc, features.code());
        pan_linear_attention_desc.normalised(desc, normalised ? 1 : 0);
        pan_linear_attention_desc.epsilon(desc, epsilon);
        pan_linear_attention_desc.reserved(desc, 0);
        pan_linear_attention_desc.batch(desc, batch);
        pan_linear_attention_desc.heads(desc, heads);
        pan_linear_attention_desc.length(desc, length);
        pan_linear_attention_desc.feature_dim(desc, featureDim);
        pan_linear_attention_desc.value_dim(desc, valueDim);
        q.write(pan_linear_attention_desc.q(desc));
        k.write(pan_linear_attention_desc.k(desc));
        v.write(pan_linear_attention_desc.v(desc));
        o.write(pan_linear_attention_desc.o(desc));
        return desc;
    }
}
