package dev.panthera.task;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The rows of one segment, copied to off-heap int32 memory on request. */
sealed interface RowSource {

    /** Copies a row to place {@code slot} of {@code inputs} and {@code labels}, which have the shapes of a {@link Batch}. */
    void copy(int row, MemorySegment inputs, MemorySegment labels, int slot);

    /** The rows of {@code segment}; materialised ones live as long as {@code arena}. */
    static RowSource of(DataSegment segment, RowStream stream, RowStorage storage, Arena arena) {
        var streamed =
                new Streamed(
                        segment.task().generator(stream),
                        new int[segment.task().inputsPerRow()],
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
            place(inputRow, inputs, slot);
            place(labelRow, labels, slot);
        }

        private static void place(int[] row, MemorySegment rows, int slot) {
            long offset = (long) slot * row.length * Integer.BYTES;
            MemorySegment.copy(row, 0, rows, ValueLayout.JAVA_INT, offset, row.length);
        }
    }

    /** Holds all rows. */
    record Materialised(Stored inputRows, Stored labelRows) implements RowSource {

        static Materialised of(Streamed rows, DataSegment segment, Arena arena) {
            TaskConfig task = segment.task();
            var made =
                    new Materialised(
                            Stored.of(task.inputsPerRow(), segment, arena),
                            Stored.of(task.length(), segment, arena));
            for (int row = 0; row < segment.examples(); row++) {
                rows.generator.row(row, rows.inputRow, rows.labelRow);
                made.inputRows.keep(row, rows.inputRow);
                made.labelRows.keep(row, rows.labelRow);
            }
            return made;
        }

        @Override
        public void copy(int row, MemorySegment inputs, MemorySegment labels, int slot) {
            inputRows.copy(row, inputs, slot);
            labelRows.copy(row, labels, slot);
        }
    }

    /** Rows of ids or labels, with two bytes each where those can tell all tokens, and nothing, apart. */
    record Stored(MemorySegment all, ValueLayout layout, int length) {

        static Stored of(int length, DataSegment segment, Arena arena) {
            ValueLayout layout =
                    segment.task().vocabSize() <= Short.MAX_VALUE
                            ? ValueLayout.JAVA_SHORT
                            : ValueLayout.JAVA_INT;
            long bytes = (long) segment.examples() * length * layout.byteSize();
            return new Stored(arena.allocate(bytes, Integer.BYTES), layout, length);
        }

        void keep(int row, int[] values) {
            long first = (long) row * length;
            if (layout instanceof ValueLayout.OfInt ints) {
                MemorySegment.copy(values, 0, all, ints, first * Integer.BYTES, length);
                return;
            }
            for (int i = 0; i < length; i++) {
                all.setAtIndex(ValueLayout.JAVA_SHORT, first + i, (short) values[i]);
            }
        }

        void copy(int row, MemorySegment target, int slot) {
            long from = (long) row * length;
            long to = (long) slot * length;
            if (layout instanceof ValueLayout.OfInt) {
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
