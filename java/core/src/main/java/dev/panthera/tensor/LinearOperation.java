package dev.panthera.tensor;

import dev.panthera.kernels.LinearKernel;
import org.jspecify.annotations.Nullable;

/** {@code y = x W^T + b} on every row; see {@link LinearKernel}. */
public record LinearOperation(
        LinearKernel kernel, Columns x, Tensor weight, @Nullable Tensor bias, Tensor y)
        implements Operation {

    /**
     * @param x {@code (..., in)}
     * @param weight {@code (out, in)}
     * @param bias {@code (out)} or null
     * @return {@code (..., out)}
     */
    public static Tensor apply(Tape tape, Tensor x, Tensor weight, @Nullable Tensor bias) {
        return apply(tape, Columns.of(x), weight, bias);
    }

    /** As {@link #apply(Tape, Tensor, Tensor, Tensor)} of a column range. */
    public static Tensor apply(Tape tape, Columns x, Tensor weight, @Nullable Tensor bias) {
        if (weight.rank() != 2 || weight.size(1) != x.count()) {
            throw new IllegalArgumentException(
                    "linear: "
                            + weight
                            + " for "
                            + x
                            + "; expected weight (out, "
                            + x.count()
                            + ")");
        }
        int[] shape = x.shape();
        shape[shape.length - 1] = weight.size(0);
        int out = weight.size(0);
        var kernel = new LinearKernel(x.tensor().rows(), x.count(), out, x.stride(), out);
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
        return 2.0 * kernel.rows() * weight.size();
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
        var gradients = new Columns.Gradients(tape, x);
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    x.values(),
                    weight.values(),
                    y.gradient(),
                    gradients.of(0),
                    tape.addGradient(weight),
                    tape.addGradient(bias),
                    Tape.Scratch.of(workspace));
        }
        gradients.give();
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
