package dev.panthera.tensor;

import dev.panthera.kernels.CumulativeSumKernel;

/** Sums of all entries of a dimension up to each of them; see {@link CumulativeSumKernel}. */
public record CumulativeSumOperation(CumulativeSumKernel kernel, Tensor x, Tensor y)
        implements Operation {

    /**
     * @param dimension that is summed along; a negative one counts from the end
     */
    public static Tensor apply(Tape tape, Tensor x, int dimension) {
        int along = dimension < 0 ? x.rank() + dimension : dimension;
        if (along < 0 || along >= x.rank()) {
            throw new IllegalArgumentException(
                    "cumulative sum: dimension %d of %s".formatted(dimension, x));
        }
        int count = x.size(along);
        long inner = Strides.dense(x.shape())[along];
        var kernel = new CumulativeSumKernel(false, x.size() / count / inner, count, inner);
        var operation = new CumulativeSumOperation(kernel, x, tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "cumulative sum";
    }

    @Override
    public void forward(Tape tape) {
        kernel.apply(tape.stream(), x.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        if (!x.requiresGradient()) {
            return;
        }
        var dx = tape.reuseOrNewGradient(y);
        kernel.reversed().apply(tape.stream(), y.gradient(), dx.buffer());
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
