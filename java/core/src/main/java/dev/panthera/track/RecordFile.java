package dev.panthera.track;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;

/**
 * A TFRecord file: each record as {@code uint64 length, uint32 crc(length), data, uint32 crc(data)}, little-endian. The
 * CRC is CRC-32C, masked so that a CRC over data that holds CRCs stays good:
 * {@code (crc >>> 15 | crc << 17) + 0xa282ead8}. Source: TensorFlow's description of the format,
 * tensorflow.org/tutorials/load_data/tfrecord.
 */
final class RecordFile implements AutoCloseable {
    private static final int MASK_DELTA = 0xa282ead8;

    private final OutputStream out;
    private final CRC32C crc = new CRC32C();

    /** @throws java.nio.file.FileAlreadyExistsException if there is such a file */
    RecordFile(Path file) throws IOException {
        out =
                new BufferedOutputStream(
                        Files.newOutputStream(
                                file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
    }

    void write(byte[] data) throws IOException {
        byte[] length = littleEndian(Long.BYTES).putLong(data.length).array();
        out.write(length);
        out.write(maskedCrc(length));
        out.write(data);
        out.write(maskedCrc(data));
    }

    private byte[] maskedCrc(byte[] data) {
        crc.reset();
        crc.update(data);
        int value = Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
        return littleEndian(Integer.BYTES).putInt(value).array();
    }

    private static ByteBuffer littleEndian(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    void flush() throws IOException {
        out.flush();
    }

    @Override
    public void close() throws IOException {
        out.close();
    }
}
