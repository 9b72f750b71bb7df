package dev.panthera.mixer;

import dev.panthera.kernels.DataType;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.AttentionRowsOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.RotaryInPlaceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What attention makes of its input: queries, keys and values, with their positions in queries and keys if those are rotary.
 *
 * @param projection to queries, keys and values, in this order
 * @param heads side by side in each of them
 * @param rotary whether queries and keys are turned by their positions (Su et al. 2021, arXiv 2104.09864)
 */
record QueriesKeysValues(Linear projection, int heads, boolean rotary) {

    /** All of them, {@code (batch, length, 3 * channels)}. */
    Tensor packed(Tape tape, Tensor x) {
        return rotated(tape, projection.apply(tape, x), 2 * heads, 0);
    }

    /**
     * Queries alone.
     *
     * @param first position of the first row of each sequence
     */
    Tensor queries(Tape tape, Tensor x, int first) {
        return rotated(tape, projection.outputs(0, width()).apply(tape, x), heads, first);
    }

    /**
     * Keys and values, {@code (batch, length, 2 * channels)}.
     *
     * @param first position of the first row of each sequence
     */
    Tensor keysAndValues(Tape tape, Tensor x, int first) {
        return rotated(tape, projection.outputs(width(), 2 * width()).apply(tape, x), heads, first);
    }

    private Tensor rotated(Tape tape, Tensor projected, int rotatedHeads, int first) {
        if (!rotary) {
            return projected;
        }
        @Nullable Tensor position = null;
        if (first > 0) {
            position = tape.allocateConstant(DataType.I32, 1);
            tape.stream().copyToDevice(position.values(), new int[] {first});
        }
        return RotaryInPlaceOperation.apply(
                tape, projected, rotatedHeads, width() / heads, position);
    }

    /**
     * Attention of which some rows are needed: every position has a key and a value, those rows alone have queries. Rotary ones are
     * made for all positions, since a row that is picked has lost its own.
     *
     * @param rows int32 {@code (1, count)}, ascending
     * @return what the output projection takes, {@code (1, count, channels)}
     */
    Tensor attendRows(
            Tape tape, Tensor x, Tensor rows, int window, float dropout, long dropoutKey) {
        Tensor queries =
                rotary
                        ? GatherRowsOperation.apply(tape, queries(tape, x, 0), rows)
                        : queries(tape, GatherRowsOperation.apply(tape, x, rows), 0);
        return AttentionRowsOperation.apply(
                tape, queries, keysAndValues(tape, x, 0), rows, heads, window, dropout, dropoutKey);
    }

    private int width() {
        return projection.weight().size(0) / 3;
    }
}
