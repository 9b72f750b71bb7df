package dev.panthera.tensor;

import dev.panthera.kernels.ArithmeticKernel;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.StridedCopyKernel;
import java.util.Arrays;

/**
 * A tensor repeated along its dimensions of size 1 and in front of its first; see {@link StridedCopyKernel}. The gradient is
 * the sum over the repetitions, which is that of a broadcast operand of an addition.
 */
public record BroadcastOperation(Tensor x, Tensor y) implements Operation {

    /** {@code x} in a shape; aligned at their ends, its sizes are equal to those of the shape, or 1. */
    public static Tensor apply(Tape tape, Tensor x, int... shape) {
        boolean fits = x.rank() <= shape.length;
        for (int i = 1; fits && i <= x.rank(); i++) {
            fits = x.size(-i) == 1 || x.size(-i) == shape[shape.length - i];
        }
        if (!fits) {
            throw new IllegalArgumentException(
                    "broadcast: %s to %s; aligned at their ends, sizes must be equal or 1"
                            .formatted(x, Arrays.toString(shape)));
        }
        var operation = new BroadcastOperation(x, tape.allocate(shape.clone()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "broadcast";
    }

    @Override
    public void forward(Tape tape) {
        int[] shape = y.shape();
        new StridedCopyKernel(shape, Strides.broadcast(x, shape), Strides.dense(shape))
                .copy(tape.stream(), x.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        var dx = tape.writeGradient(x);
        if (dx == null) {
            return;
        }
        int[] shape = y.shape();
        new ArithmeticKernel(
                        ArithmeticKind.ADD,
                        shape,
                        Strides.broadcast(x, shape),
                        Strides.dense(shape))
                .backward(tape.stream(), null, null, y.gradient(), dx.buffer(), null);
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
