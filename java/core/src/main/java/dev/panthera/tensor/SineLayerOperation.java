package dev.panthera.tensor;

import dev.panthera.kernels.SineLayerKernel;

/** {@code y = sin(frequency * x)}; see {@link SineLayerKernel}. */
public record SineLayerOperation(SineLayerKernel kernel, Tensor x, Tensor frequency, Tensor y)
        implements Operation {

    /**
     * @param x {@code (..., channels)}
     * @param frequency as many elements as {@code x} has channels
     */
    public static Tensor apply(Tape tape, Tensor x, Tensor frequency) {
        if (frequency.size() != x.size(-1)) {
            throw new IllegalArgumentException(
                    "sine layer: " + x + " with frequencies " + frequency);
        }
        var operation =
                new SineLayerOperation(
                        new SineLayerKernel(x.rows(), x.size(-1)),
                        x,
                        frequency,
                        tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "sine layer";
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(tape.stream(), x.values(), frequency.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        var dx = tape.writeGradient(x);
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    x.values(),
                    frequency.values(),
                    y.gradient(),
                    Tape.Gradient.of(dx),
                    tape.addGradient(frequency),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
