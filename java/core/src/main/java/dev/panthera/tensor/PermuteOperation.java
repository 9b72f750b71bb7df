package dev.panthera.tensor;

import dev.panthera.kernels.StridedCopyKernel;
import java.util.Arrays;

/** A tensor with its dimensions in another order; see {@link StridedCopyKernel}. */
public record PermuteOperation(StridedCopyKernel kernel, Tensor x, Tensor y) implements Operation {

    /**
     * @param order which dimension of x each dimension of the result is; {@code (0, 2, 1, 3)} brings heads of
     *     {@code (batch, length, heads, headDim)} in front of positions
     */
    public static Tensor apply(Tape tape, Tensor x, int... order) {
        int[] sorted = order.clone();
        Arrays.sort(sorted);
        int[] shape = new int[order.length];
        long[] from = new long[order.length];
        long[] dense = Strides.dense(x.shape());
        for (int i = 0; i < order.length; i++) {
            if (sorted[i] != i || order.length != x.rank()) {
                throw new IllegalArgumentException(
                        "permute: order %s of the dimensions of %s; expected each of 0 to %d once"
                                .formatted(Arrays.toString(order), x, x.rank() - 1));
            }
            shape[i] = x.size(order[i]);
            from[i] = dense[order[i]];
        }
        var kernel = new StridedCopyKernel(shape, from, Strides.dense(shape));
        var operation = new PermuteOperation(kernel, x, tape.allocate(shape));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "permute";
    }

    @Override
    public void forward(Tape tape) {
        kernel.copy(tape.stream(), x.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        var dx = tape.writeGradient(x);
        if (dx != null) {
            kernel.reversed().copy(tape.stream(), y.gradient(), dx.buffer());
            tape.give(dx, x);
        }
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
