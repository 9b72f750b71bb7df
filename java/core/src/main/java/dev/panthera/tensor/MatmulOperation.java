package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.MatmulKernel;
import dev.panthera.kernels.MatrixLayout;
import dev.panthera.kernels.ReduceKernel;
import dev.panthera.kernels.Reduction;
import java.util.Arrays;

/** Batched matrix product {@code y = alpha a b}; see {@link MatmulKernel}. */
public record MatmulOperation(
        Tensor a, boolean aTransposed, Tensor b, boolean bTransposed, float alpha, Tensor y)
        implements Operation {

    /** {@code (..., m, k)} times {@code (..., k, n)}, as {@link #apply(Tape, Tensor, boolean, Tensor, boolean, float)}. */
    public static Tensor apply(Tape tape, Tensor a, Tensor b) {
        return apply(tape, a, false, b, false, 1);
    }

    /**
     * @param a {@code (..., m, k)}, or {@code (..., k, m)} if it is to be transposed
     * @param b {@code (..., k, n)}, or {@code (..., n, k)} if it is to be transposed. Both have the same dimensions in
     *     front, or one of them has none and is shared by all products.
     * @param alpha factor
     * @return {@code (..., m, n)}
     */
    public static Tensor apply(
            Tape tape, Tensor a, boolean aTransposed, Tensor b, boolean bTransposed, float alpha) {
        Tensor batched = a.rank() >= b.rank() ? a : b;
        Tensor other = batched == a ? b : a;
        boolean fits = other.rank() == 2 || sameBatch(a, b);
        if (!fits
                || other.rank() < 2
                || a.size(aTransposed ? -2 : -1) != b.size(bTransposed ? -1 : -2)) {
            throw new IllegalArgumentException(
                    "matmul: %s%s times %s%s; expected (..., m, k) times (..., k, n)"
                            .formatted(
                                    a,
                                    aTransposed ? " transposed" : "",
                                    b,
                                    bTransposed ? " transposed" : ""));
        }
        int[] shape = batched.shape();
        shape[shape.length - 2] = a.size(aTransposed ? -1 : -2);
        shape[shape.length - 1] = b.size(bTransposed ? -2 : -1);
        var operation =
                new MatmulOperation(a, aTransposed, b, bTransposed, alpha, tape.allocate(shape));
        tape.run(operation);
        return operation.y;
    }

    private static boolean sameBatch(Tensor a, Tensor b) {
        return a.rank() == b.rank()
                && Arrays.equals(a.shape(), 0, a.rank() - 2, b.shape(), 0, b.rank() - 2);
    }

    /** Matrices as they lie in an array. */
    private record Operand(
            DeviceBuffer values, long batch, long rows, long columns, boolean transposed) {

        static Operand of(Tensor tensor, DeviceBuffer values, boolean transposed) {
            long rows = tensor.size(-2);
            long columns = tensor.size(-1);
            return new Operand(values, tensor.size() / rows / columns, rows, columns, transposed);
        }

        Operand flipped() {
            return new Operand(values, batch, rows, columns, !transposed);
        }

        /** All matrices under each other, as one. */
        Operand stacked() {
            return new Operand(values, 1, batch * rows, columns, transposed);
        }

        long resultRows() {
            return transposed ? columns : rows;
        }

        long resultColumns() {
            return transposed ? rows : columns;
        }

        MatrixLayout layout(long products) {
            return batch < products
                    ? MatrixLayout.shared(columns)
                    : MatrixLayout.dense(rows, columns);
        }
    }

    private Operand left() {
        return Operand.of(a, a.values(), aTransposed);
    }

    private Operand right() {
        return Operand.of(b, b.values(), bTransposed);
    }

    @Override
    public String name() {
        return "matmul";
    }

    @Override
    public double flops() {
        return 2.0 * y.size() * a.size(aTransposed ? -2 : -1);
    }

    @Override
    public void forward(Tape tape) {
        Operand left = left();
        Operand right = right();
        boolean oneProduct = right.batch == 1 && !aTransposed;
        multiply(tape, oneProduct ? left.stacked() : left, right, y.values());
    }

    @Override
    public void backward(Tape tape) {
        Operand dy = Operand.of(y, y.gradient(), false);
        if (a.requiresGradient()) {
            // a' = dy b^T, or b dy^T if a is stored transposed.
            if (aTransposed) {
                giveGradient(tape, right(), dy.flipped(), a);
            } else {
                giveGradient(tape, dy, right().flipped(), a);
            }
        }
        if (b.requiresGradient()) {
            if (bTransposed) {
                giveGradient(tape, dy.flipped(), left(), b);
            } else {
                giveGradient(tape, left().flipped(), dy, b);
            }
        }
    }

    /** Gives {@code alpha left right} to a tensor, summed over the batch if the tensor is shared by its products. */
    private void giveGradient(Tape tape, Operand left, Operand right, Tensor tensor) {
        var gradient = tape.newGradient(tensor);
        long batch = Math.max(left.batch, right.batch);
        long products = tensor.size() / tensor.size(-1) / tensor.size(-2);
        if (products == batch) {
            multiply(tape, left, right, gradient.buffer());
        } else if (left.transposed && !right.transposed) {
            // The sum over the batch joins that over the rows.
            multiply(tape, left.stacked(), right.stacked(), gradient.buffer());
        } else {
            addUp(tape, left, right, batch, gradient.buffer());
        }
        tape.give(gradient, tensor);
    }

    private void addUp(Tape tape, Operand left, Operand right, long batch, DeviceBuffer gradient) {
        long matrix = left.resultRows() * right.resultColumns();
        var kernel = new ReduceKernel(Reduction.SUM, 1, batch, matrix);
        Tensor each =
                tape.allocateConstant(tape.type(), Math.toIntExact(batch), Math.toIntExact(matrix));
        multiply(tape, left, right, each.values());
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(tape.stream(), each.values(), gradient, Tape.Scratch.of(workspace));
        }
        each.release();
    }

    private void multiply(Tape tape, Operand left, Operand right, DeviceBuffer result) {
        long batch = Math.max(left.batch, right.batch);
        long m = left.resultRows();
        long n = right.resultColumns();
        var kernel =
                new MatmulKernel(
                        batch,
                        m,
                        n,
                        left.resultColumns(),
                        left.transposed,
                        right.transposed,
                        alpha,
                        left.layout(batch),
                        right.layout(batch),
                        MatrixLayout.dense(m, n));
        try (var workspace = tape.scratch(kernel.workspaceBytes(tape.stream()))) {
            kernel.multiply(
                    tape.stream(), left.values, right.values, result, Tape.Scratch.of(workspace));
        }
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
