package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import dev.panthera.io.SafetensorsWriter;
import dev.panthera.io.StoredType;
import dev.panthera.task.DataSegment;
import dev.panthera.task.RowGenerator;
import dev.panthera.task.RowStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Writes the rows of a segment.
 *
 * @param segment task and number of rows
 * @param stream random numbers of the rows
 */
record TaskRows(DataSegment segment, RowStream stream) {
    private static final int CHUNK = 1 << 16;
    private static final ValueLayout.OfInt LITTLE_ENDIAN_INT =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Prints rows until a reader that has seen enough goes away. */
    void print(RowText form, PrintStream out) {
        try {
            write(
                    form,
                    bytes -> {
                        out.write(bytes);
                        return !out.checkError();
                    });
        } catch (IOException impossible) {
            throw new AssertionError("a print stream keeps its errors to itself", impossible);
        }
    }

    /**
     * Writes rows to a file, atomically.
     *
     * @throws UserException if it cannot be written
     */
    void write(RowText form, Path file) {
        AtomicFile.write(
                file,
                channel -> {
                    OutputStream out = Channels.newOutputStream(channel);
                    write(
                            form,
                            bytes -> {
                                out.write(bytes);
                                return true;
                            });
                });
    }

    /** Takes bytes; returns whether it wants more. */
    @FunctionalInterface
    private interface Sink {
        boolean accept(byte[] bytes) throws IOException;
    }

    private void write(RowText form, Sink sink) throws IOException {
        var text = new StringBuilder();
        RowGenerator generator = segment.task().generator(stream);
        int[] inputs = new int[segment.task().inputsPerRow()];
        int[] labels = new int[segment.task().length()];
        for (int row = 0; row < segment.examples(); row++) {
            generator.row(row, inputs, labels);
            form.append(text, inputs, labels);
            boolean full = text.length() >= CHUNK || row == segment.examples() - 1;
            if (full && !sink.accept(text.toString().getBytes(StandardCharsets.US_ASCII))) {
                return;
            }
            if (full) {
                text.setLength(0);
            }
        }
    }

    /**
     * Writes {@code inputs}, int32 (examples, ids of a row), and {@code labels}, int32 (examples, length), to a file, atomically.
     *
     * @throws UserException if it cannot be written
     */
    void writeSafetensors(Path file) {
        int[] inputRow = new int[segment.task().inputsPerRow()];
        int[] labelRow = new int[segment.task().length()];
        try (var arena = Arena.ofConfined()) {
            var inputs = allocate(arena, inputRow);
            var labels = allocate(arena, labelRow);
            RowGenerator generator = segment.task().generator(stream);
            for (int row = 0; row < segment.examples(); row++) {
                generator.row(row, inputRow, labelRow);
                place(inputRow, inputs, row);
                place(labelRow, labels, row);
            }
            new SafetensorsWriter()
                    .metadata("task", segment.task().toString())
                    .metadata("stream", stream.toString())
                    .tensor("inputs", StoredType.I32, shape(inputRow), inputs)
                    .tensor("labels", StoredType.I32, shape(labelRow), labels)
                    .write(file);
        }
    }

    private MemorySegment allocate(Arena arena, int[] row) {
        return arena.allocate(
                (long) segment.examples() * row.length * Integer.BYTES, Integer.BYTES);
    }

    private static void place(int[] row, MemorySegment rows, int index) {
        long offset = (long) index * row.length * Integer.BYTES;
        MemorySegment.copy(row, 0, rows, LITTLE_ENDIAN_INT, offset, row.length);
    }

    private long[] shape(int[] row) {
        return new long[] {segment.examples(), row.length};
    }
}
