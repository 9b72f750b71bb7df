package dev.panthera.tensor;

import dev.panthera.kernels.TokenShiftKernel;
import org.jspecify.annotations.Nullable;

/** Mixes every position with the one before it; see {@link TokenShiftKernel}. */
public record TokenShiftOperation(
        TokenShiftKernel kernel, Tensor x, Tensor mix, @Nullable Tensor previous, Tensor y)
        implements Operation {

    /**
     * @param x {@code (batch, length, channels)}
     * @param mix of {@code channels} values: the share of the current position
     * @param previous {@code (batch, channels)}, what came before the first position, for evaluation; null: 0
     */
    public static Tensor apply(Tape tape, Tensor x, Tensor mix, @Nullable Tensor previous) {
        boolean fits = x.rank() == 3 && mix.size() == x.size(-1);
        if (!fits || previous != null && previous.size() != (long) x.size(0) * x.size(2)) {
            throw new IllegalArgumentException(
                    "token shift: %s with mix %s after %s; expected (batch, length, channels), (channels) and (batch, channels)"
                            .formatted(x, mix, previous));
        }
        if (previous != null) {
            tape.requireEvaluation("token shift");
        }
        var operation =
                new TokenShiftOperation(
                        new TokenShiftKernel(x.size(0), x.size(1), x.size(2)),
                        x,
                        mix,
                        previous,
                        tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "token shift";
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(
                tape.stream(),
                x.values(),
                mix.values(),
                previous == null ? null : previous.values(),
                y.values());
    }

    @Override
    public void backward(Tape tape) {
        var dx = tape.writeGradient(x);
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    x.values(),
                    mix.values(),
                    y.gradient(),
                    Tape.Gradient.of(dx),
                    tape.addGradient(mix),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
