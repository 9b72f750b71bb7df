package dev.panthera.tensor;

import dev.panthera.kernels.ShortConvKernel;
import org.jspecify.annotations.Nullable;

/** Causal depthwise convolution with a few taps; see {@link ShortConvKernel}. */
public record ShortConvOperation(
        ShortConvKernel kernel, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y)
        implements Operation {

    /**
     * @param x {@code (batch, length, channels)}
     * @param weight {@code (channels, taps)}, or {@code (channels, 1, taps)}; the last tap meets the current position
     * @param bias {@code (channels)} or null
     */
    public static Tensor apply(Tape tape, Tensor x, Tensor weight, @Nullable Tensor bias) {
        int channels = x.size(-1);
        int taps = weight.size(-1);
        if (x.rank() != 3 || weight.size() != (long) channels * taps) {
            throw new IllegalArgumentException(
                    "short convolution: "
                            + x
                            + " with weight "
                            + weight
                            + "; expected (batch, length, channels) and (channels, taps)");
        }
        var operation =
                new ShortConvOperation(
                        new ShortConvKernel(x.size(0), x.size(1), channels, taps),
                        x,
                        weight,
                        bias,
                        tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "short convolution";
    }

    @Override
    public double flops() {
        return 2.0 * x.size() * weight.size(-1);
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
