package dev.panthera.task;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The rows of one segment, copied to off-heap int32 memory on request. */
sealed interface RowSource {

    /** Copies a row to place {@code slot} of {@code inputs} and {@code labels}, each (rows, length). */
    void copy(int row, MemorySegment inputs, MemorySegment labels, int slot);

    /** The rows of {@code segment}; materialised ones live as long as {@code arena}. */
    static RowSource of(DataSegment segment, RowStream stream, RowStorage storage, Arena arena) {
        var streamed =
                new Streamed(
                        segment.task().generator(stream),
                        new int[segment.task().length()],
                        new int[segment.task().length()]);
        return switch (storage) {
            case STREAMED -> streamed;
            case MATERIALISED -> Materialised.of(streamed, segment, arena);
        };
    }

    /** Makes each row anew, in two scratch arrays of one row. */
    record Streamed(RowGenerator generator, int[] inputRow, int[] labelRow) implements RowSource {
        @Override
        public void copy(int row, MemorySegment inputs, MemorySegment labels, int slot) {
            generator.row(row, inputRow, labelRow);
            long offset = (long) slot * inputRow.length * Integer.BYTES;
            MemorySegment.copy(inputRow, 0, inputs, ValueLayout.JAVA_INT, offset, inputRow.length);
            MemorySegment.copy(labelRow, 0, labels, ValueLayout.JAVA_INT, offset, labelRow.length);
        }
    }

    /** Holds all rows. */
    record Materialised(MemorySegment allInputs, MemorySegment allLabels, long rowBytes)
            implements RowSource {

        static Materialised of(Streamed rows, DataSegment segment, Arena arena) {
            long rowBytes = (long) segment.task().length() * Integer.BYTES;
            var inputs = arena.allocate(segment.examples() * rowBytes, Integer.BYTES);
            var labels = arena.allocate(segment.examples() * rowBytes, Integer.BYTES);
            for (int row = 0; row < segment.examples(); row++) {
                long offset = row * rowBytes;
                rows.copy(
                        row, inputs.asSlice(offset, rowBytes), labels.asSlice(offset, rowBytes), 0);
            }
            return new Materialised(inputs, labels, rowBytes);
        }

        @Override
        public void copy(int row, MemorySegment inputs, MemorySegment labels, int slot) {
            MemorySegment.copy(allInputs, row * rowBytes, inputs, slot * rowBytes, rowBytes);
            MemorySegment.copy(allLabels, row * rowBytes, labels, slot * rowBytes, rowBytes);
        }
    }
}
