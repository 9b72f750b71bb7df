package dev.panthera.task;

/** Makes the rows of one segment in any order; row i is the same whenever and wherever it is made. Not thread-safe. */
@FunctionalInterface
public interface RowGenerator {

    /**
     * Writes one row.
     *
     * @param index  the row, at least 0; no upper bound
     * @param inputs receives the row's {@link TaskConfig#inputsPerRow} ids
     * @param labels receives for each position what is to be predicted there, or {@link TaskConfig#IGNORE}
     */
    void row(long index, int[] inputs, int[] labels);
}
