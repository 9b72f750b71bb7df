package dev.panthera.tensor;

import dev.panthera.kernels.TopKMaskKernel;

/** Which entries along the last dimension are the k largest; see {@link TopKMaskKernel}. No gradient passes. */
public record TopKMaskOperation(TopKMaskKernel kernel, Tensor x, Tensor y) implements Operation {

    /**
     * @param k at least 1
     * @return of the shape of x: 1 for the k largest entries of each row, 0 for the others
     */
    public static Tensor apply(Tape tape, Tensor x, int k) {
        var operation =
                new TopKMaskOperation(
                        new TopKMaskKernel(x.rows(), x.size(-1), k),
                        x,
                        tape.allocateConstant(tape.type(), x.shape()));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "top-k mask";
    }

    @Override
    public void forward(Tape tape) {
        kernel.mask(tape.stream(), x.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {}

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
