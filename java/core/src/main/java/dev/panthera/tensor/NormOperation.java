package dev.panthera.tensor;

import dev.panthera.kernels.NormKernel;
import dev.panthera.kernels.NormKind;
import org.jspecify.annotations.Nullable;

/** Layer or RMS norm, fused with the residual addition in front of it; see {@link NormKernel}. */
public record NormOperation(
        NormKernel kernel,
        Tensor x,
        @Nullable Tensor residual,
        Tensor weight,
        @Nullable Tensor bias,
        Tensor sum,
        Tensor y,
        @Nullable Tensor mean,
        Tensor rstd)
        implements Operation {

    /** The residual stream after the addition, and its normalisation. */
    public record Result(Tensor sum, Tensor normalised) {}

    /**
     * @param x {@code (..., channels)}
     * @param residual of the shape of {@code x}, or null: then {@link Result#sum} is {@code x}
     * @param weight {@code (channels)}
     * @param bias {@code (channels)} or null
     */
    public static Result apply(
            Tape tape,
            NormKind kind,
            float epsilon,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            @Nullable Tensor bias) {
        var kernel = new NormKernel(kind, epsilon, x.rows(), x.size(-1));
        int rows = Math.toIntExact(x.rows());
        var operation =
                new NormOperation(
                        kernel,
                        x,
                        residual,
                        weight,
                        bias,
                        residual == null ? x : tape.allocate(x.shape()),
                        tape.allocate(x.shape()),
                        kind == NormKind.LAYER ? tape.allocateConstant(tape.type(), rows) : null,
                        tape.allocateConstant(tape.type(), rows));
        tape.run(operation);
        return new Result(operation.sum, operation.y);
    }

    @Override
    public String name() {
        return kernel.kind() == NormKind.LAYER ? "layer norm" : "RMS norm";
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(
                tape.stream(),
                x.values(),
                residual == null ? null : residual.values(),
                weight.values(),
                bias == null ? null : bias.values(),
                residual == null ? null : sum.values(),
                y.values(),
                mean == null ? null : mean.values(),
                rstd.values());
    }

    @Override
    public void backward(Tape tape) {
        boolean fused = residual != null;
        if (y.gradient() == null) {
            // Only the residual stream is used further on, so its gradient is that of both inputs.
            tape.passOn(sum, x, residual);
            return;
        }
        var dx = fused ? tape.reuseGradient(sum) : null;
        if (dx == null
                && (x.requiresGradient() || (residual != null && residual.requiresGradient()))) {
            dx = tape.newGradient(x);
        }
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    sum.values(),
                    weight.values(),
                    mean == null ? null : mean.values(),
                    rstd.values(),
                    fused ? sum.gradient() : null,
                    y.gradient(),
                    Tape.Gradient.of(dx),
                    tape.addGradient(weight),
                    tape.addGradient(bias),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dx, x, residual);
    }

    @Override
    public Tensor[] outputs() {
        return residual == null ? new Tensor[] {y} : new Tensor[] {sum, y};
    }

    @Override
    public Tensor[] saved() {
        return mean == null ? new Tensor[] {rstd} : new Tensor[] {mean, rstd};
    }
}
