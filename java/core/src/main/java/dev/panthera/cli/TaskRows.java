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
        int[] inputs = new int[segment.task().length()];
        int[] labels = new int[inputs.length];
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
     * Writes {@code inputs} and {@code labels}, int32 (examples, length), to a file, atomically.
     *
     * @throws UserException if it cannot be written
     */
    void writeSafetensors(Path file) {
        int length = segment.task().length();
        long[] shape = {segment.examples(), length};
        long rowBytes = (long) length * Integer.BYTES;
        try (var arena = Arena.ofConfined()) {
            var inputs = arena.allocate(segment.examples() * rowBytes, Integer.BYTES);
            var labels = arena.allocate(segment.examples() * rowBytes, Integer.BYTES);
            RowGenerator generator = segment.task().generator(stream);
            int[] inputRow = new int[length];
            int[] labelRow = new int[length];
            for (int row = 0; row < segment.examples(); row++) {
                generator.row(row, inputRow, labelRow);
                MemorySegment.copy(inputRow, 0, inputs, LITTLE_ENDIAN_INT, row * rowBytes, length);
                MemorySegment.copy(labelRow, 0, labels, LITTLE_ENDIAN_INT, row * rowBytes, length);
            }
            new SafetensorsWriter()
                    .metadata("task", segment.task().toString())
                    .metadata("stream", stream.toString())
                    .tensor("inputs", StoredType.I32, shape, inputs)
                    .tensor("labels", StoredType.I32, shape, labels)
                    .write(file);
        }
    }
}
