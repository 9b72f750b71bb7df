package dev.panthera.mixer;

import dev.panthera.nn.Linear;
import dev.panthera.tensor.AttentionRowsOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** Attention of which some rows are needed: every position has a key and a value, those rows alone have queries. */
final class NeededQueries {
    private NeededQueries() {}

    /**
     * @param projection to queries, keys and values of all positions, in this order
     * @param rows int32 {@code (1, count)}, ascending
     * @return what the output projection takes, {@code (1, count, channels)}
     */
    static Tensor attend(
            Tape tape,
            Linear projection,
            Tensor x,
            Tensor rows,
            int heads,
            int window,
            float dropout,
            long dropoutKey) {
        return AttentionRowsOperation.apply(
                tape,
                queries(tape, projection, GatherRowsOperation.apply(tape, x, rows)),
                keysAndValues(tape, projection, x),
                rows,
                heads,
                window,
                dropout,
                dropoutKey);
    }

    static Tensor queries(Tape tape, Linear projection, Tensor x) {
        return projection.outputs(0, width(projection)).apply(tape, x);
    }

    static Tensor keysAndValues(Tape tape, Linear projection, Tensor x) {
        int width = width(projection);
        return projection.outputs(width, 2 * width).apply(tape, x);
    }

    private static int width(Linear projection) {
        return projection.weight().size(0) / 3;
    }
}
