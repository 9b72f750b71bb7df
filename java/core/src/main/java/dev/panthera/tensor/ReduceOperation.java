package dev.panthera.tensor;

import dev.panthera.kernels.ReduceKernel;
import dev.panthera.kernels.Reduction;

/** Sum, mean, maximum and the like over one dimension; see {@link ReduceKernel}. */
public record ReduceOperation(ReduceKernel kernel, Tensor x, Tensor y) implements Operation {

    /**
     * @param dimension the dimension that is reduced, and is 1 in the result
     */
    public static Tensor apply(Tape tape, Reduction reduction, Tensor x, int dimension) {
        int[] shape = x.shape();
        long outer = 1;
        for (int i = 0; i < dimension; i++) {
            outer *= shape[i];
        }
        long inner = 1;
        for (int i = dimension + 1; i < shape.length; i++) {
            inner *= shape[i];
        }
        var kernel = new ReduceKernel(reduction, outer, shape[dimension], inner);
        shape[dimension] = 1;
        var operation = new ReduceOperation(kernel, x, tape.allocate(shape));
        tape.run(operation);
        return operation.y;
    }

    /** As {@link #apply(Tape, Reduction, Tensor, int)} over all elements, to a scalar of shape (1). */
    public static Tensor applyToAll(Tape tape, Reduction reduction, Tensor x) {
        var operation =
                new ReduceOperation(
                        new ReduceKernel(reduction, 1, x.size(), 1), x, tape.allocate(1));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "reduce " + kernel.kind();
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(tape.stream(), x.values(), y.values(), Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        var dx = tape.writeGradient(x);
        if (dx == null) {
            return;
        }
        kernel.backward(tape.stream(), x.values(), y.gradient(), dx.buffer());
        tape.give(dx, x);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
