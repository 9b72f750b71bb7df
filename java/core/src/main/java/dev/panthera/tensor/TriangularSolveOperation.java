package dev.panthera.tensor;

import dev.panthera.kernels.TriangularSolveKernel;
import java.util.Arrays;

/** Solutions of lower triangular systems; see {@link TriangularSolveKernel}. */
public record TriangularSolveOperation(TriangularSolveKernel kernel, Tensor a, Tensor b, Tensor x)
        implements Operation {

    /**
     * @param a {@code (..., size, size)}; what is above the diagonal counts for nothing
     * @param b {@code (..., size, columns)}, of the same leading dimensions
     * @return as b
     */
    public static Tensor apply(Tape tape, Tensor a, Tensor b) {
        int[] expected = b.shape();
        boolean matrices = b.rank() >= 2 && a.rank() == b.rank();
        if (matrices) {
            expected[b.rank() - 1] = b.size(-2);
        }
        if (!matrices || !Arrays.equals(a.shape(), expected)) {
            throw new IllegalArgumentException(
                    "triangular solve: %s and %s; expected (..., size, size) and (..., size, columns)"
                            .formatted(a, b));
        }
        int size = b.size(-2);
        int columns = b.size(-1);
        var kernel = new TriangularSolveKernel(b.size() / size / columns, size, columns);
        var operation = new TriangularSolveOperation(kernel, a, b, tape.allocate(b.shape()));
        tape.run(operation);
        return operation.x;
    }

    @Override
    public String name() {
        return "triangular solve";
    }

    @Override
    public double flops() {
        return (double) kernel.batch() * kernel.size() * kernel.size() * kernel.columns();
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(tape.stream(), a.values(), b.values(), x.values());
    }

    @Override
    public void backward(Tape tape) {
        var da = tape.newGradient(a);
        var db = tape.reuseOrNewGradient(x);
        kernel.backward(
                tape.stream(), a.values(), x.values(), x.gradient(), da.buffer(), db.buffer());
        tape.give(da, a);
        tape.give(db, b);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {x};
    }
}
