package dev.panthera.tensor;

import dev.panthera.kernels.AttentionKernel;

/**
 * Causal multi-head attention, full or over a sliding window, over a packed projection; see {@link AttentionKernel}. The packed array holds
 * {@code [q | k | v]} in its channels, each split into heads.
 */
public record AttentionOperation(AttentionKernel kernel, Tensor packed, Tensor y, Tensor logSumExp)
        implements Operation {

    /**
     * @param packed {@code (batch, length, 3 * channels)}
     * @param heads divides channels
     * @param window how many positions a query sees, its own included; 0: all up to its own
     * @param dropout probability of dropping a softmax weight when training
     * @param key tells apart the dropouts of one step
     * @return {@code (batch, length, channels)}
     */
    public static Tensor apply(
            Tape tape, Tensor packed, int heads, int window, float dropout, long key) {
        int batch = packed.size(0);
        int length = packed.size(1);
        int channels = packed.size(2) / 3;
        if (packed.size(2) != 3 * channels || channels % heads != 0) {
            throw new IllegalArgumentException(
                    "attention: "
                            + packed
                            + " for "
                            + heads
                            + " heads; expected (batch, length, 3 * heads * head_dim)");
        }
        var kernel =
                AttentionKernel.packed(
                        batch,
                        length,
                        heads,
                        channels / heads,
                        window,
                        tape.training() ? dropout : 0,
                        key);
        var operation =
                new AttentionOperation(
                        kernel,
                        packed,
                        tape.allocate(batch, length, channels),
                        tape.allocateConstant(tape.type(), batch, heads, length));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "attention";
    }

    /** Two products over the pairs that see each other. */
    @Override
    public double flops() {
        double length = kernel.length();
        double window = kernel.window() == 0 ? length : Math.min(length, kernel.window());
        double pairs = window * (window + 1) / 2 + (length - window) * window;
        return 4.0 * kernel.batch() * kernel.heads() * kernel.headDim() * pairs;
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forwardPacked(
                    tape.stream(),
                    tape.random(),
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
