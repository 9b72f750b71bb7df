package dev.panthera.tensor;

import dev.panthera.kernels.EmbeddingKernel;
import org.jspecify.annotations.Nullable;

/** Token embedding plus learned position, if any; see {@link EmbeddingKernel}. */
public record EmbeddingOperation(
        EmbeddingKernel kernel, Tensor ids, Tensor table, @Nullable Tensor positions, Tensor y)
        implements Operation {

    /**
     * @param ids {@code (batch, length)} int32
     * @param table {@code (vocab_size, channels)}
     * @param positions {@code (max_positions, channels)} or null
     * @return {@code (batch, length, channels)}; a constant if neither table is trained
     */
    public static Tensor apply(Tape tape, Tensor ids, Tensor table, @Nullable Tensor positions) {
        int batch = ids.size(0);
        int length = ids.size(1);
        int channels = table.size(1);
        var kernel =
                new EmbeddingKernel(
                        batch,
                        length,
                        channels,
                        table.size(0),
                        positions == null ? 0 : positions.size(0));
        boolean trained =
                table.requiresGradient() || positions != null && positions.requiresGradient();
        Tensor y =
                trained
                        ? tape.allocate(batch, length, channels)
                        : tape.allocateConstant(tape.type(), batch, length, channels);
        var operation = new EmbeddingOperation(kernel, ids, table, positions, y);
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "embedding";
    }

    @Override
    public void forward(Tape tape) {
        kernel.forward(
                tape.stream(),
                ids.values(),
                table.values(),
                positions == null ? null : positions.values(),
                y.values());
    }

    @Override
    public void backward(Tape tape) {
        kernel.backward(
                tape.stream(),
                ids.values(),
                y.gradient(),
                tape.addGradient(table),
                tape.addGradient(positions));
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
