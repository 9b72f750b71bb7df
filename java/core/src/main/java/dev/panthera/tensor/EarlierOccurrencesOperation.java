package dev.panthera.tensor;

import dev.panthera.kernels.EarlierOccurrencesKernel;

/** How often a position's token has occurred before it; see {@link EarlierOccurrencesKernel}. There is no gradient. */
public record EarlierOccurrencesOperation(EarlierOccurrencesKernel kernel, Tensor ids, Tensor y)
        implements Operation {

    /**
     * @param ids int32 {@code (batch, capacity)}
     * @param length how many positions of each sequence are there, the first ones
     * @param count how many of the last of these are asked for
     * @return {@code (batch, count, 1)}
     */
    public static Tensor apply(Tape tape, Tensor ids, int length, int count) {
        int batch = ids.size(0);
        int capacity = ids.size(1);
        if (count < 1 || count > length || length > capacity) {
            throw new IllegalArgumentException(
                    "earlier occurrences: the last %d of %d positions of %s"
                            .formatted(count, length, ids));
        }
        var operation =
                new EarlierOccurrencesOperation(
                        new EarlierOccurrencesKernel(batch, length, capacity, count),
                        ids,
                        tape.allocateConstant(tape.type(), batch, count, 1));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "earlier occurrences";
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.workspaceBytes(tape.stream()))) {
            kernel.count(tape.stream(), ids.values(), y.values(), Tape.Scratch.of(workspace));
        }
    }

    /** Counts have none. */
    @Override
    public void backward(Tape tape) {}

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
