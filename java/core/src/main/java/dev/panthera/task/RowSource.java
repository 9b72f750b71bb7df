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

    /** Holds all rows, with two bytes a token where those can tell all tokens apart. */
    record Materialised(
            MemorySegment allInputs, MemorySegment allLabels, ValueLayout stored, int length)
            implements RowSource {

        static Materialised of(Streamed rows, DataSegment segment, Arena arena) {
            int length = segment.task().length();
            ValueLayout stored =
                    segment.task().vocabSize() - 1 <= Short.MAX_VALUE
                            ? ValueLayout.JAVA_SHORT
                            : ValueLayout.JAVA_INT;
            long bytes = (long) segment.examples() * length * stored.byteSize();
            var made =
                    new Materialised(
                            arena.allocate(bytes, Integer.BYTES),
                            arena.allocate(bytes, Integer.BYTES),
                            stored,
                            length);
            for (int row = 0; row < segment.examples(); row++) {
                rows.generator.row(row, rows.inputRow, rows.labelRow);
                made.keep(row, rows.inputRow, made.allInputs);
                made.keep(row, rows.labelRow, made.allLabels);
            }
            return made;
        }

        private void keep(int row, int[] tokens, MemorySegment all) {
            long first = (long) row * length;
            if (stored instanceof ValueLayout.OfInt layout) {
                MemorySegment.copy(tokens, 0, all, layout, first * Integer.BYTES, length);
                return;
            }
            for (int i = 0; i < length; i++) {
                all.setAtIndex(ValueLayout.JAVA_SHORT, first + i, (short) tokens[i]);
            }
        }

        @Override
        public void copy(int row, MemorySegment inputs, MemorySegment labels, int slot) {
            copyRow(row, allInputs, inputs, slot);
            copyRow(row, allLabels, labels, slot);
        }

        private void copyRow(int row, MemorySegment all, MemorySegment target, int slot) {
            long from = (long) row * length;
            long to = (long) slot * length;
            if (stored instanceof ValueLayout.OfInt) {
                MemorySegment.copy(
                        all,
                        from * Integer.BYTES,
                        target,
                        to * Integer.BYTES,
                        (long) length * Integer.BYTES);
                return;
            }
            for (int i = 0; i < length; i++) {
                target.setAtIndex(
                        ValueLayout.JAVA_INT,
                        to + i,
                        all.getAtIndex(ValueLayout.JAVA_SHORT, from + i));
            }
        }
    }
}
