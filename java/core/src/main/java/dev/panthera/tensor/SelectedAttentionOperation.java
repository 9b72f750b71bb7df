package dev.panthera.tensor;

import dev.panthera.kernels.SelectedAttentionKernel;

/**
 * {@link AttentionOperation} of chosen positions alone: the others' outputs are 0, and they cost nothing. See
 * {@link SelectedAttentionKernel}.
 */
public record SelectedAttentionOperation(
        SelectedAttentionKernel kernel, Tensor packed, Tensor chosen, Tensor y, Tensor logSumExp)
        implements Operation {

    /**
     * @param packed {@code (batch, length, 3 * channels)}: {@code [q | k | v]} in its channels, each split into heads
     * @param chosen {@code (batch, length)}, or with further dimensions of extent 1: not 0 where a position attends; gets no
     *     gradient
     * @param heads divides channels
     * @param window how many positions a query sees, its own included; 0: all up to its own
     * @param dropout probability of dropping a softmax weight when training
     * @param key tells apart the dropouts of one step
     * @return {@code (batch, length, channels)}, 0 where a position is not chosen
     */
    public static Tensor apply(
            Tape tape,
            Tensor packed,
            Tensor chosen,
            int heads,
            int window,
            float dropout,
            long key) {
        int batch = packed.size(0);
        int length = packed.size(1);
        int channels = packed.size(2) / 3;
        if (packed.size(2) != 3 * channels
                || channels % heads != 0
                || chosen.rank() < 2
                || chosen.size(0) != batch
                || chosen.size(1) != length
                || chosen.size() != (long) batch * length) {
            throw new IllegalArgumentException(
                    ("selected attention: %s for %d heads, chosen by %s; expected (batch, length, 3 * heads * head_dim)"
                                    + " and (batch, length)")
                            .formatted(packed, heads, chosen));
        }
        var kernel =
                SelectedAttentionKernel.packed(
                        batch,
                        length,
                        heads,
                        channels / heads,
                        window,
                        tape.training() ? dropout : 0,
                        key);
        var operation =
                new SelectedAttentionOperation(
                        kernel,
                        packed,
                        chosen,
                        tape.allocate(batch, length, channels),
                        tape.allocateConstant(tape.type(), batch, heads, length));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "selected attention";
    }

    /** Not known: only the device knows how many positions are chosen. */
    @Override
    public double flops() {
        return 0;
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forwardPacked(
                    tape.stream(),
                    tape.random(),
                    chosen.values(),
                    packed.values(),
                    y.values(),
                    logSumExp.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        var gradient = tape.writeGradient(packed);
        if (gradient == null) {
            return;
        }
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backwardPacked(
                    tape.stream(),
                    tape.random(),
                    chosen.values(),
                    packed.values(),
                    y.values(),
                    logSumExp.values(),
                    y.gradient(),
                    gradient.buffer(),
                    Tape.Scratch.of(workspace));
        }
        tape.give(gradient, packed);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }

    @Override
    public Tensor[] saved() {
        return new Tensor[] {logSumExp};
    }
}
