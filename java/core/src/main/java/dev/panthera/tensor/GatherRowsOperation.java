package dev.panthera.tensor;

import dev.panthera.kernels.EmbeddingKernel;

/**
 * Some rows of a tensor: {@code y[i, c] = x[rows[i], c]}. It is a look-up in a table, so the kernel is that of embeddings,
 * whose backward adds in the order of the rows.
 */
public record GatherRowsOperation(EmbeddingKernel kernel, Tensor x, Tensor rows, Tensor y)
        implements Operation {

    /**
     * @param x {@code (..., channels)}, seen as rows
     * @param rows int32 {@code (1, count)}, numbers of rows
     * @return {@code (1, count, channels)}
     */
    public static Tensor apply(Tape tape, Tensor x, Tensor rows) {
        int count = rows.size(1);
        int channels = x.size(-1);
        var kernel = new EmbeddingKernel(1, count, channels, x.rows(), 0);
        var operation = new GatherRowsOperation(kernel, x, rows, tape.allocate(1, count, channels));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "gather rows";
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(tape.stream(), rows.values(), x.values(), null, y.values());
    }

    @Override
    public void backward(Tape tape) {
        kernel.backward(tape.stream(), rows.values(), y.gradient(), tape.addGradient(x), null);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
