package dev.panthera.model;

import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.EmbeddingOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** Squared distances of vectors from the embeddings of targets, by channel. */
public final class SquaredError {
    private SquaredError() {}

    /**
     * The error of each vector, {@code |h - table[target]|^2 / channels}.
     *
     * @param hidden {@code (1, count, channels)}
     * @param table {@code (answers, channels)}
     * @param targets int32 {@code (1, count)}, rows of the table
     * @return {@code (1, count, 1)}
     */
    static Tensor ofRows(Tape tape, Tensor hidden, Tensor table, Tensor targets) {
        Tensor difference = EmbeddingOperation.apply(tape, targets, table, null).minus(hidden);
        return ReduceOperation.apply(tape, Reduction.SUM_OF_SQUARES, difference, 2)
                .times(tape.constant(1f / hidden.size(-1), 1));
    }

    /**
     * A weighted sum of the errors of {@link #ofRows}, a scalar.
     *
     * @param shares {@code (1, count, 1)}, what each of them counts
     */
    public static Tensor mean(
            Tape tape, Tensor hidden, Tensor table, Tensor targets, Tensor shares) {
        Tensor errors = ofRows(tape, hidden, table, targets);
        return ReduceOperation.applyToAll(tape, Reduction.SUM, errors.times(shares));
    }
}
