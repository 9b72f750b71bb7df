package dev.panthera.tensor;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.GateKernel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** {@code y = f(a) * b + c} in one pass; see {@link GateKernel}. */
public record GateOperation(GateKernel kernel, Columns a, Columns b, @Nullable Tensor c, Tensor y)
        implements Operation {

    /** All operands have one shape; {@code c} may be null. */
    public static Tensor apply(
            Tape tape, Activation activation, Tensor a, Tensor b, @Nullable Tensor c) {
        return apply(tape, activation, Columns.of(a), Columns.of(b), c);
    }

    /** As {@link #apply(Tape, Activation, Tensor, Tensor, Tensor)} of column ranges. */
    public static Tensor apply(
            Tape tape, Activation activation, Columns a, Columns b, @Nullable Tensor c) {
        if (!Arrays.equals(a.shape(), b.shape())
                || c != null && !Arrays.equals(a.shape(), c.shape())) {
            throw new IllegalArgumentException(
                    "gate: %s, %s and %s; expected operands of one shape".formatted(a, b, c));
        }
        int channels = a.count();
        var kernel =
                new GateKernel(
                        activation,
                        a.tensor().rows(),
                        channels,
                        a.stride(),
                        b.stride(),
                        channels,
                        channels);
        var operation = new GateOperation(kernel, a, b, c, tape.allocate(a.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "gate";
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(
                tape.stream(), a.values(), b.values(), c == null ? null : c.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        var gradients = new Columns.Gradients(tape, a, b);
        kernel.backward(
                tape.stream(),
                a.values(),
                b.values(),
                y.gradient(),
                gradients.of(0),
                gradients.of(1));
        gradients.give();
        tape.passOn(y, c);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
