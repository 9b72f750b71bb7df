package dev.panthera.tensor;

import dev.panthera.kernels.WkvKernel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The recurrence of RWKV-4; see {@link WkvKernel}. */
public record WkvOperation(
        WkvKernel kernel,
        Tensor k,
        Tensor v,
        Tensor decay,
        Tensor first,
        @Nullable Tensor state,
        Tensor y)
        implements Operation {

    /**
     * @param k {@code (batch, length, channels)}
     * @param v of the same shape
     * @param decay {@code (channels)}: the logarithm of the rate at which weights decay
     * @param first {@code (channels)}: what the current key has in addition
     */
    public static Tensor apply(Tape tape, Tensor k, Tensor v, Tensor decay, Tensor first) {
        return run(tape, k, v, decay, first, null);
    }

    /**
     * The positions that follow those of a state, which then includes them. No gradient passes.
     *
     * @param state {@code (batch, 3, channels)}; zeros before the first position
     */
    public static Tensor extend(
            Tape tape, Tensor k, Tensor v, Tensor decay, Tensor first, Tensor state) {
        tape.requireEvaluation("wkv");
        return run(tape, k, v, decay, first, state);
    }

    private static Tensor run(
            Tape tape, Tensor k, Tensor v, Tensor decay, Tensor first, @Nullable Tensor state) {
        int channels = k.size(-1);
        if (k.rank() != 3
                || !Arrays.equals(k.shape(), v.shape())
                || decay.size() != channels
                || first.size() != channels) {
            throw new IllegalArgumentException(
                    "wkv: keys %s, values %s, decay %s, first %s; expected (batch, length, channels) twice, and (channels)"
                            .formatted(k, v, decay, first));
        }
        var operation =
                new WkvOperation(
                        new WkvKernel(k.size(0), k.size(1), channels),
                        k,
                        v,
                        decay,
                        first,
                        state,
                        tape.allocate(k.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "wkv";
    }

    @Override
    public void forward(Tape tape) {
        var stateValues = state == null ? null : state.values();
        kernel.forward(
                tape.stream(),
                k.values(),
                v.values(),
                decay.values(),
                first.values(),
                stateValues,
                y.values(),
                stateValues);
    }

    @Override
    public void backward(Tape tape) {
        var dk = tape.writeGradient(k);
        var dv = tape.writeGradient(v);
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    k.values(),
                    v.values(),
                    decay.values(),
                    first.values(),
                    y.gradient(),
                    Tape.Gradient.of(dk),
                    Tape.Gradient.of(dv),
                    tape.addGradient(decay),
                    tape.addGradient(first),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dk, k);
        tape.give(dv, v);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
