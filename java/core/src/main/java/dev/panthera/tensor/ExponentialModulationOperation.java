package dev.panthera.tensor;

import dev.panthera.kernels.ExponentialModulationKernel;

/** {@code y[t,c] = x[t,c] (exp(-t timeStep |rate[c]|) + shift)}; see {@link ExponentialModulationKernel}. */
public record ExponentialModulationOperation(
        ExponentialModulationKernel kernel, Tensor x, Tensor rate, Tensor y) implements Operation {

    /**
     * @param x {@code (length, channels)}
     * @param rate as many elements as {@code x} has channels; gets no gradient
     */
    public static Tensor apply(Tape tape, Tensor x, Tensor rate, double timeStep, double shift) {
        if (rate.size() != x.size(-1) || rate.requiresGradient()) {
            throw new IllegalArgumentException(
                    "exponential modulation: " + x + " with rates " + rate);
        }
        var operation =
                new ExponentialModulationOperation(
                        new ExponentialModulationKernel(x.rows(), x.size(-1), timeStep, shift),
                        x,
                        rate,
                        tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "exponential modulation";
    }

    @Override
    public void forward(Tape tape) {
        kernel.apply(tape.stream(), x.values(), rate.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        if (!x.requiresGradient()) {
            return;
        }
        var dx = tape.reuseOrNewGradient(y);
        kernel.apply(tape.stream(), y.gradient(), rate.values(), dx.buffer());
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
