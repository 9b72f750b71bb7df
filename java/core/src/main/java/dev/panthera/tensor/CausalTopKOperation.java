package dev.panthera.tensor;

import dev.panthera.kernels.CausalTopKKernel;

/** Chooses the positions whose scores are among the largest up to their own; see {@link CausalTopKKernel}. */
public record CausalTopKOperation(CausalTopKKernel kernel, Tensor score, Tensor chosen)
        implements Operation {

    /**
     * @param score {@code (batch, length)}, or with further dimensions of extent 1
     * @param k at most so many are chosen of a prefix; {@link CausalTopKKernel#SQUARE_ROOT}: the square root of its length,
     *     rounded up
     * @return as {@code score}: 1 where a position is chosen, else 0; a constant, through which no gradient passes
     */
    public static Tensor apply(Tape tape, Tensor score, long k) {
        if (score.rank() < 2
                || score.size() != (long) score.size(0) * score.size(1)
                || k < CausalTopKKernel.SQUARE_ROOT) {
            throw new IllegalArgumentException(
                    "causal top k: k = %d of scores %s; expected (batch, length), k >= 0"
                            .formatted(k, score));
        }
        var operation =
                new CausalTopKOperation(
                        new CausalTopKKernel(score.size(0), score.size(1), k),
                        score,
                        tape.allocateConstant(tape.type(), score.shape()));
        tape.run(operation);
        return operation.chosen;
    }

    @Override
    public String name() {
        return "causal top k";
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.workspaceBytes(tape.stream()))) {
            kernel.choose(
                    tape.stream(), score.values(), chosen.values(), Tape.Scratch.of(workspace));
        }
    }

    /** Nothing: the result wants no gradient. */
    @Override
    public void backward(Tape tape) {}

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {chosen};
    }
}
