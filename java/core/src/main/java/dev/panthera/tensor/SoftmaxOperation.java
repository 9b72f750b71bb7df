package dev.panthera.tensor;

import dev.panthera.kernels.SoftmaxKernel;

/** Softmax over the last dimension; see {@link SoftmaxKernel}. */
public record SoftmaxOperation(SoftmaxKernel kernel, Tensor x, Tensor y) implements Operation {

    public static Tensor apply(Tape tape, Tensor x) {
        var operation =
                new SoftmaxOperation(
                        new SoftmaxKernel(x.rows(), x.size(-1)), x, tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "softmax";
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
        kernel.backward(tape.stream(), y.values(), y.gradient(), dx.buffer());
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
