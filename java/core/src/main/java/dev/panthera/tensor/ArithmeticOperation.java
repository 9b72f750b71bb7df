package dev.panthera.tensor;

import dev.panthera.kernels.ArithmeticKernel;
import dev.panthera.kernels.ArithmeticKind;
import java.util.Arrays;

/**
 * Addition, subtraction, product, quotient or maximum with broadcasting: shapes are aligned at their ends, and a dimension
 * that is missing or 1 is repeated; see {@link ArithmeticKernel}.
 */
public record ArithmeticOperation(ArithmeticKernel kernel, Tensor a, Tensor b, Tensor y)
        implements Operation {

    public static Tensor apply(Tape tape, ArithmeticKind kind, Tensor a, Tensor b) {
        int[] shape = broadcast(a, b);
        var kernel =
                new ArithmeticKernel(
                        kind, shape, Strides.broadcast(a, shape), Strides.broadcast(b, shape));
        var operation = new ArithmeticOperation(kernel, a, b, tape.allocate(shape));
        tape.run(operation);
        return operation.y;
    }

    private static int[] broadcast(Tensor a, Tensor b) {
        int rank = Math.max(a.rank(), b.rank());
        int[] shape = new int[rank];
        for (int i = 1; i <= rank; i++) {
            int sizeOfA = i <= a.rank() ? a.size(-i) : 1;
            int sizeOfB = i <= b.rank() ? b.size(-i) : 1;
            if (sizeOfA != sizeOfB && sizeOfA != 1 && sizeOfB != 1) {
                throw new IllegalArgumentException(
                        "arithmetic: "
                                + Arrays.toString(a.shape())
                                + " and "
                                + Arrays.toString(b.shape())
                                + " do not broadcast: aligned at their ends, sizes must be equal or 1");
            }
            shape[rank - i] = Math.max(sizeOfA, sizeOfB);
        }
        return shape;
    }

    @Override
    public String name() {
        return "arithmetic " + kernel.kind();
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(tape.stream(), a.values(), b.values(), y.values());
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
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
