package dev.panthera.tensor;

import dev.panthera.kernels.AttentionMergeKernel;
import java.util.Arrays;

/** One attention over two sets of keys from the attentions over each; see {@link AttentionMergeKernel}. */
public record AttentionMergeOperation(
        AttentionMergeKernel kernel,
        PartialAttention first,
        PartialAttention second,
        PartialAttention merged)
        implements Operation {

    /** Both of the same queries, over keys that differ. */
    public static PartialAttention apply(
            Tape tape, PartialAttention first, PartialAttention second) {
        int[] shape = first.o().shape();
        int[] statistics = first.logSumExp().shape();
        boolean fit =
                shape.length == 3
                        && statistics.length == 3
                        && statistics[0] == shape[0]
                        && statistics[2] == shape[1]
                        && shape[2] % statistics[1] == 0
                        && Arrays.equals(second.o().shape(), shape)
                        && Arrays.equals(second.logSumExp().shape(), statistics);
        if (!fit) {
            throw new IllegalArgumentException(
                    "attention merge: %s and %s; expected (batch, length, channels) and (batch, heads, length)"
                            .formatted(first, second));
        }
        int heads = statistics[1];
        var kernel = new AttentionMergeKernel(shape[0], shape[1], heads, shape[2] / heads);
        var merged = new PartialAttention(tape.allocate(shape), tape.allocate(statistics));
        tape.run(new AttentionMergeOperation(kernel, first, second, merged));
        return merged;
    }

    @Override
    public String name() {
        return "attention merge";
    }

    private static AttentionMergeKernel.Part values(PartialAttention part) {
        return new AttentionMergeKernel.Part(part.o().values(), part.logSumExp().values());
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(tape.stream(), values(first), values(second), values(merged));
    }

    @Override
    public void backward(Tape tape) {
        var dFirst = new Gradients(tape, first);
        var dSecond = new Gradients(tape, second);
        try (var dO = new OutputGradient(tape, merged.o())) {
            kernel.backward(
                    tape.stream(),
                    values(first),
                    values(second),
                    values(merged),
                    dO.buffer(),
                    merged.logSumExp().gradient(),
                    dFirst.buffers(),
                    dSecond.buffers());
        }
        dFirst.give(tape, first);
        dSecond.give(tape, second);
    }

    /** Of one of the two. */
    private record Gradients(Tape.Gradient o, Tape.Gradient logSumExp) {
        Gradients(Tape tape, PartialAttention part) {
            this(tape.newGradient(part.o()), tape.newGradient(part.logSumExp()));
        }

        AttentionMergeKernel.Part buffers() {
            return new AttentionMergeKernel.Part(o.buffer(), logSumExp.buffer());
        }

        void give(Tape tape, PartialAttention part) {
            tape.give(o, part.o());
            tape.give(logSumExp, part.logSumExp());
        }
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {merged.o(), merged.logSumExp()};
    }

    @Override
    public Tensor[] finiteOutputs() {
        return new Tensor[] {merged.o()};
    }
}
