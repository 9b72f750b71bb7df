package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_causal_top_k_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Which positions are chosen by their scores, without a look ahead: position t is if its score is among the {@code k(t)}
 * largest up to t, where {@code k(t)} is {@code k}, or {@code ceil(sqrt(t + 1))}. An earlier one comes first among equal
 * scores:
 * <pre>
 * chosen[b,t] = 1 if score[b,t] > -infinity and #{ s &lt; t : score[b,s] >= score[b,t] } &lt; k(t), else 0
 * </pre>
 * A NaN is not chosen and counts for nobody. Whether t is chosen stays so whatever follows; so more than k positions of a
 * sequence can be. Costs length log length on the CPU. Has no gradient.
 *
 * @param batch  sequences
 * @param length positions of a sequence
 * @param k      at most so many are chosen of a prefix; {@link #SQUARE_ROOT}: the square root of its length, rounded up
 */
public record CausalTopKKernel(long batch, long length, long k) {

    /** A {@code k} that grows with the square root of the prefix. */
    public static final long SQUARE_ROOT = 0;

    /** Bytes of scratch that {@link #choose} needs. */
    public long workspaceBytes(DeviceStream stream) {
        synchronized (stream) {
            KernelCall call = stream.call("causal_top_k_workspace_size", this);
            return call.finishSize(
                    PantheraAbi.pan_causal_top_k_workspace_size(
                            call.stream(), describe(call, call.parameterType()), call.size()));
        }
    }

    /**
     * Computes chosen.
     *
     * @param score     (batch, length)
     * @param chosen    (batch, length), output: 1 or 0
     * @param workspace {@link #workspaceBytes}; may be null if 0
     */
    public void choose(
            DeviceStream stream,
            DeviceBuffer score,
            DeviceBuffer chosen,
            @Nullable DeviceBuffer workspace) {
        synchronized (stream) {
            KernelCall call = stream.call("causal_top_k", this);
            DataType type = call.activationType(score);
            long elements = Sizes.product(batch, length);
            call.finish(
                    PantheraAbi.pan_causal_top_k(
                            call.stream(),
                            describe(call, type),
                            call.input("score", score, type, elements),
                            call.output("chosen", chosen, type, elements),
                            call.workspace(workspace),
                            KernelCall.workspaceBytes(workspace)));
        }
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_causal_top_k_desc.struct_size(desc, (int) pan_causal_top_k_desc.sizeof());
        pan_causal_top_k_desc.dtype(desc, type.code());
        pan_causal_top_k_desc.batch(desc, batch);
        pan_causal_top_k_desc.length(desc, length);
        pan_causal_top_k_desc.k(desc, k);
        return desc;
    }
}
