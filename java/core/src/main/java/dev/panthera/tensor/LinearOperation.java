package dev.panthera.tensor;

import dev.panthera.kernels.LinearKernel;
import org.jspecify.annotations.Nullable;

/** {@code y = x W^T + b} on every row; see {@link LinearKernel}. */
public record LinearOperation(
        LinearKernel kernel, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y)
        implements Operation {

    /**
     * @param x {@code (..., in)}
     * @param weight {@code (out, in)}
     * @param bias {@code (out)} or null
     * @return {@code (..., out)}
     */
    public static Tensor apply(Tape tape, Tensor x, Tensor weight, @Nullable Tensor bias) {
        if (weight.rank() != 2 || weight.size(1) != x.size(-1)) {
            throw new IllegalArgumentException(
                    "linear: "
                            + weight
                            + " for "
                            + x
                            + "; expected weight (out, "
                            + x.size(-1)
                            + ")");
        }
        int[] shape = x.shape();
        shape[shape.length - 1] = weight.size(0);
        var kernel = new LinearKernel(x.rows(), weight.size(1), weight.size(0));
        var operation = new LinearOperation(kernel, x, weight, bias, tape.allocate(shape));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "linear";
    }

    @Override
    public double flops() {
        return 2.0 * x.rows() * weight.size();
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(
                tape.stream(),
                x.values(),
                weight.values(),
                bias == null ? null : bias.values(),
                y.values());
    }

    @Override
    public void backward(Tape tape) {
        var dx = tape.writeGradient(x);
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    x.values(),
                    weight.values(),
                    y.gradient(),
                    Tape.Gradient.of(dx),
                    tape.addGradient(weight),
                    tape.addGradient(bias),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
