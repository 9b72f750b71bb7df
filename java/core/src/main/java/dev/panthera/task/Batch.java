package dev.panthera.task;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;

/**
 * Rows of one segment. The memory belongs to the {@link Dataset} that made it and is overwritten by its next batch.
 *
 * @param task   the rows' task
 * @param rows   number of rows, at least 1; the last batch of a segment may be short
 * @param inputs token ids, int32 in native byte order, off-heap, (rows, {@link TaskConfig#inputsPerRow})
 * @param labels what is to be predicted or {@link TaskConfig#IGNORE}, likewise, (rows, length)
 */
public record Batch(TaskConfig task, int rows, MemorySegment inputs, MemorySegment labels) {

    /** Positions of each row. */
    public int length() {
        return task.length();
    }

    /** Tags that all rows share. */
    public Map<String, Integer> slices() {
        return task.slices();
    }

    /** A copy of the inputs, row-major. */
    public int[] inputArray() {
        return inputs.toArray(ValueLayout.JAVA_INT);
    }

    /** A copy of the labels, row-major. */
    public int[] labelArray() {
        return labels.toArray(ValueLayout.JAVA_INT);
    }
}
