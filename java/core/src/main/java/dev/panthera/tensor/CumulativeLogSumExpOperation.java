package dev.panthera.tensor;

import dev.panthera.kernels.CumulativeLogSumExpKernel;

/** Logarithms of the sums of exponentials up to each entry of a dimension; see {@link CumulativeLogSumExpKernel}. */
public record CumulativeLogSumExpOperation(CumulativeLogSumExpKernel kernel, Tensor x, Tensor y)
        implements Operation {

    /**
     * @param dimension that is summed along; a negative one counts from the end
     */
    public static Tensor apply(Tape tape, Tensor x, int dimension) {
        int along = dimension < 0 ? x.rank() + dimension : dimension;
        if (along < 0 || along >= x.rank()) {
            throw new IllegalArgumentException(
                    "cumulative log-sum-exp: dimension %d of %s".formatted(dimension, x));
        }
        int count = x.size(along);
        long inner = Strides.dense(x.shape())[along];
        var kernel = new CumulativeLogSumExpKernel(x.size() / count / inner, count, inner);
        var operation = new CumulativeLogSumExpOperation(kernel, x, tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "cumulative log-sum-exp";
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(tape.stream(), x.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        if (!x.requiresGradient()) {
            return;
        }
        var dx = tape.reuseOrNewGradient(y);
        kernel.backward(tape.stream(), x.values(), y.values(), y.gradient(), dx.buffer());
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }

    /** None: what is before the first weight is negative infinity. */
    @Override
    public Tensor[] finiteOutputs() {
        return new Tensor[0];
    }
}
