package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;
import dev.panthera.kernels.abi.pan_attention_merge_desc;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * One attention over two sets of keys from the attentions over each:
 * <pre>
 * lse = log(exp(lse1) + exp(lse2))      o = exp(lse1 - lse) o1 + exp(lse2 - lse) o2
 * </pre>
 * A statistic lse1 or lse2 is -infinity of a set without keys, whose o1 or o2 does not count; o is 0 and lse -infinity where
 * both have none.
 *
 * @param batch   sequences
 * @param length  positions of a sequence
 * @param heads   heads of a position
 * @param headDim elements of a head
 */
public record AttentionMergeKernel(long batch, long length, long heads, long headDim) {

    /** What attention over some of the keys gives: o (batch, length, heads, headDim) and lse (batch, heads, length). */
    public record Part(DeviceBuffer o, DeviceBuffer lse) {}

    /** Computes {@code merged} from two parts. */
    public void forward(DeviceStream stream, Part first, Part second, Part merged) {
        synchronized (stream) {
            KernelCall call = stream.call("attention_merge_forward", this);
            DataType type = call.activationType(first.o);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_attention_merge_forward(
                            call.stream(),
                            describe(call, type),
                            call.input("o1", first.o, type, elements()),
                            call.input("lse1", first.lse, real, statistics()),
                            call.input("o2", second.o, type, elements()),
                            call.input("lse2", second.lse, real, statistics()),
                            call.output("o", merged.o, type, elements()),
                            call.output("lse", merged.lse, real, statistics())));
        }
    }

    /**
     * Computes the gradients of two parts. With {@code w1 = exp(lse1 - lse)}, {@code e[t] = do[t] . o[t]}, and the same for the
     * second:
     * <pre>
     * do1 = w1 do      dlse1 = w1 (do . o1 - e + dlse)
     * </pre>
     * Gradients are 0 where lse is -infinity.
     *
     * @param merged  of forward
     * @param dO      gradient of o
     * @param dLse    gradient of lse; null: 0
     * @param dFirst  written
     * @param dSecond written
     */
    public void backward(
            DeviceStream stream,
            Part first,
            Part second,
            Part merged,
            DeviceBuffer dO,
            @Nullable DeviceBuffer dLse,
            Part dFirst,
            Part dSecond) {
        synchronized (stream) {
            KernelCall call = stream.call("attention_merge_backward", this);
            DataType type = call.activationType(first.o);
            DataType real = call.parameterType();
            call.finish(
                    PantheraAbi.pan_attention_merge_backward(
                            call.stream(),
                            describe(call, type),
                            call.input("o1", first.o, type, elements()),
                            call.input("lse1", first.lse, real, statistics()),
                            call.input("o2", second.o, type, elements()),
                            call.input("lse2", second.lse, real, statistics()),
                            call.input("o", merged.o, type, elements()),
                            call.input("lse", merged.lse, real, statistics()),
                            call.input("d_o", dO, type, elements()),
                            call.optionalInput("d_lse", dLse, real, statistics()),
                            call.output("d_o1", dFirst.o, type, elements()),
                            call.output("d_lse1", dFirst.lse, real, statistics()),
                            call.output("d_o2", dSecond.o, type, elements()),
                            call.output("d_lse2", dSecond.lse, real, statistics())));
        }
    }

    private long elements() {
        return Sizes.product(statistics(), headDim);
    }

    private long statistics() {
        return Sizes.product(batch, heads, length);
    }

    private MemorySegment describe(KernelCall call, DataType type) {
        MemorySegment desc = call.descriptor();
        pan_attention_merge_desc.struct_size(desc, (int) pan_attention_merge_desc.sizeof());
        pan_attention_merge_desc.dtype(desc, type.code());
        pan_attention_merge_desc.batch(desc, batch);
        pan_attention_merge_desc.length(desc, length);
        pan_attention_merge_desc.heads(desc, heads);
        pan_attention_merge_desc.head_dim(desc, headDim);
        return desc;
    }
}
