package dev.panthera.tensor;

import dev.panthera.kernels.DropoutKernel;

/** Dropout and row-wise drop path from a counter; see {@link DropoutKernel}. */
public record DropoutOperation(DropoutKernel kernel, Tensor x, Tensor y) implements Operation {

    /**
     * @param x {@code (batch, ..., channels)}; drop path drops whole entries of the first dimension
     * @param key tells apart the dropouts of one step
     * @return {@code x} itself where nothing is dropped
     */
    public static Tensor apply(
            Tape tape, float probability, float pathProbability, long key, Tensor x) {
        if (!tape.training() || (probability == 0 && pathProbability == 0)) {
            return x;
        }
        var kernel =
                new DropoutKernel(
                        probability,
                        pathProbability,
                        x.rows(),
                        x.size(-1),
                        x.rows() / x.size(0),
                        key);
        var operation = new DropoutOperation(kernel, x, tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "dropout";
    }

    @Override
    public void forward(Tape tape) {
        kernel.apply(tape.stream(), tape.random(), x.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        if (!x.requiresGradient()) {
            return;
        }
        var dx = tape.reuseOrNewGradient(y);
        kernel.apply(tape.stream(), tape.random(), y.gradient(), dx.buffer());
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
