package dev.panthera.tensor;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ActivationKernel;

/** {@code y = f(x)} element by element; see {@link Activation}. */
public record ActivationOperation(ActivationKernel kernel, Tensor x, Tensor y)
        implements Operation {

    public static Tensor apply(Tape tape, Activation activation, Tensor x) {
        var operation =
                new ActivationOperation(
                        new ActivationKernel(activation, x.size()), x, tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "activation " + kernel.kind();
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
        kernel.backward(tape.stream(), x.values(), y.gradient(), dx.buffer());
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }

    /** The logarithm of 0 is meant. */
    @Override
    public Tensor[] finiteOutputs() {
        return kernel.kind() == Activation.LOG ? new Tensor[0] : outputs();
    }
}
