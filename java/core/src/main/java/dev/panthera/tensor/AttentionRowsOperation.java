package dev.panthera.tensor;

import dev.panthera.kernels.AttentionKernel;

/**
 * Causal multi-head attention of which some rows are needed: their queries meet the keys and values of all positions. As
 * {@link AttentionOperation} otherwise, dropout included; see {@link AttentionKernel#ofQueries}.
 */
public record AttentionRowsOperation(
        AttentionKernel kernel,
        Tensor queries,
        Tensor keysAndValues,
        Tensor rows,
        Tensor y,
        Tensor logSumExp)
        implements Operation {

    /**
     * @param queries {@code (1, count, channels)}
     * @param keysAndValues {@code (batch, length, 2 * channels)}: {@code [k | v]} in its channels, each split into heads
     * @param rows int32 {@code (1, count)}, ascending: positions of the queries, counted over the batch
     * @param heads divides channels
     * @param window how many positions a query sees, its own included; 0: all up to its own
     * @param dropout probability of dropping a softmax weight when training
     * @param key tells apart the dropouts of one step
     * @return {@code (1, count, channels)}
     */
    public static Tensor apply(
            Tape tape,
            Tensor queries,
            Tensor keysAndValues,
            Tensor rows,
            int heads,
            int window,
            float dropout,
            long key) {
        int count = rows.size(1);
        int channels = queries.size(-1);
        if (queries.rows() != count
                || keysAndValues.size(-1) != 2 * channels
                || channels % heads != 0) {
            throw new IllegalArgumentException(
                    "attention: queries %s at rows %s, keys and values %s for %d heads"
                            .formatted(queries, rows, keysAndValues, heads));
        }
        var kernel =
                AttentionKernel.ofQueries(
                        count,
                        keysAndValues.size(0),
                        keysAndValues.size(1),
                        heads,
                        channels / heads,
                        window,
                        tape.training() ? dropout : 0,
                        key);
        var operation =
                new AttentionRowsOperation(
                        kernel,
                        queries,
                        keysAndValues,
                        rows,
                        tape.allocate(1, count, channels),
                        tape.allocateConstant(tape.type(), heads, count));
        tape.run(operation);
        return operation.y;
    }

    @Override
    public String name() {
        return "attention of rows";
    }

    /** As if every query saw half of the positions. */
    @Override
    public double flops() {
        double length = keysAndValues.size(1);
        double window = kernel.window() == 0 ? length / 2 : Math.min(length / 2, kernel.window());
        return 4.0 * queries.size() * window;
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forwardOfQueries(
                    tape.stream(),
                    tape.random(),
                    rows.values(),
                    queries.values(),
                    keysAndValues.values(),
                    y.values(),
                    logSumExp.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    @Override
    public void backward(Tape tape) {
        var dqueries = tape.newGradient(queries);
        var dkeysAndValues = tape.newGradient(keysAndValues);
        try (var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backwardOfQueries(
                    tape.stream(),
                    tape.random(),
                    rows.values(),
                    queries.values(),
                    keysAndValues.values(),
                    y.values(),
                    logSumExp.values(),
                    y.gradient(),
                    dqueries.buffer(),
                    dkeysAndValues.buffer(),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dqueries, queries);
        tape.give(dkeysAndValues, keysAndValues);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }

    @Override
    public Tensor[] saved() {
        return new Tensor[] {logSumExp};
    }
}
