package dev.panthera.tensor;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.GateKernel;
import org.jspecify.annotations.Nullable;

/** {@code y = f(a) * b + c} in one pass; see {@link GateKernel}. */
public record GateOperation(GateKernel kernel, Tensor a, Tensor b, @Nullable Tensor c, Tensor y)
        implements Operation {

    /** All operands have one shape; {@code c} may be null. */
    public static Tensor apply(
            Tape tape, Activation activation, Tensor a, Tensor b, @Nullable Tensor c) {
        var kernel = new GateKernel(activation, a.rows(), a.size(-1));
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
        var da = tape.writeGradient(a);
        var db = tape.writeGradient(b);
        kernel.backward(
                tape.stream(),
                a.values(),
                b.values(),
                y.gradient(),
                Tape.Gradient.of(da),
                Tape.Gradient.of(db));
        tape.give(da, a);
        tape.give(db, b);
        tape.passOn(y, c);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
