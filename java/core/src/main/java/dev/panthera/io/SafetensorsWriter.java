package dev.panthera.io;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.panthera.UserException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Collects tensors and metadata and writes them as one safetensors file, atomically. The same content always gives the
 * same bytes: metadata is sorted by name, tensors by element size (largest first, so that each is aligned) and name.
 */
public final class SafetensorsWriter {

    private static final long CHUNK_BYTES = 8L << 20;
    private static final Comparator<StoredTensor> FILE_ORDER =
            Comparator.<StoredTensor>comparingInt(tensor -> -tensor.type().byteSize())
                    .thenComparing(StoredTensor::name);

    private final Map<String, String> metadata = new TreeMap<>();
    private final Map<String, StoredTensor> tensors = new TreeMap<>();

    /** Sets one metadata string; returns this. */
    public SafetensorsWriter metadata(String name, String value) {
        metadata.put(name, value);
        return this;
    }

    /**
     * Adds a tensor whose data is read when the file is written; returns this.
     *
     * @param data row-major little-endian elements; must stay alive and unchanged until then
     * @throws IllegalArgumentException if the name is reserved or was added before
     * @throws UserException if the data's size is not that of the shape
     */
    public SafetensorsWriter tensor(
            String name, StoredType type, long[] shape, MemorySegment data) {
        if (name.equals("__metadata__") || tensors.containsKey(name)) {
            throw new IllegalArgumentException(
                    "tensor name " + name + " is reserved or already used");
        }
        tensors.put(name, new StoredTensor(name, type, shape, data));
        return this;
    }

    /** Adds a copy of {@code values} as an F32 tensor; returns this. */
    public SafetensorsWriter tensor(String name, long[] shape, float[] values) {
        var data = heap(values.length, Float.BYTES);
        var layout = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(LITTLE_ENDIAN);
        MemorySegment.copy(values, 0, data, layout, 0, values.length);
        return tensor(name, StoredType.F32, shape, data);
    }

    /** Adds a copy of {@code values} as an I32 tensor; returns this. */
    public SafetensorsWriter tensor(String name, long[] shape, int[] values) {
        var data = heap(values.length, Integer.BYTES);
        var layout = ValueLayout.JAVA_INT_UNALIGNED.withOrder(LITTLE_ENDIAN);
        MemorySegment.copy(values, 0, data, layout, 0, values.length);
        return tensor(name, StoredType.I32, shape, data);
    }

    /** Adds a copy of {@code values} as an I64 tensor; returns this. */
    public SafetensorsWriter tensor(String name, long[] shape, long[] values) {
        var data = heap(values.length, Long.BYTES);
        var layout = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(LITTLE_ENDIAN);
        MemorySegment.copy(values, 0, data, layout, 0, values.length);
        return tensor(name, StoredType.I64, shape, data);
    }

    private static MemorySegment heap(int elements, int bytesEach) {
        return MemorySegment.ofArray(new byte[Math.multiplyExact(elements, bytesEach)]);
    }

    /**
     * Writes everything added so far to {@code target}, replacing a file of that name as a whole.
     *
     * @throws UserException if writing fails; names the file, which is then as it was before
     */
    public void write(Path target) {
        List<StoredTensor> inFileOrder = tensors.values().stream().sorted(FILE_ORDER).toList();
        var entries = new ArrayList<SafetensorsHeader.Entry>();
        long position = 0;
        for (StoredTensor tensor : inFileOrder) {
            long end = position + tensor.data().byteSize();
            entries.add(
                    new SafetensorsHeader.Entry(
                            tensor.name(), tensor.type(), tensor.shape(), position, end));
            position = end;
        }
        byte[] header = new SafetensorsHeader(metadata, entries).toBytes();
        UserException.require(
                header.length <= SafetensorsHeader.MAX_BYTES,
                "cannot write %s: its header would have %d bytes; the format allows %d",
                target,
                header.length,
                SafetensorsHeader.MAX_BYTES);
        AtomicFile.write(
                target,
                channel -> {
                    byte[] length = new byte[SafetensorsFile.LENGTH_BYTES];
                    MemorySegment.ofArray(length).set(SafetensorsFile.LENGTH, 0, header.length);
                    writeFully(channel, MemorySegment.ofArray(length));
                    writeFully(channel, MemorySegment.ofArray(header));
                    for (StoredTensor tensor : inFileOrder) {
                        writeFully(channel, tensor.data());
                    }
                });
    }

    /** In chunks, because a channel takes at most 2 GiB at once and copies heap memory to a buffer of the same size. */
    private static void writeFully(FileChannel channel, MemorySegment bytes) throws IOException {
        for (long position = 0; position < bytes.byteSize(); position += CHUNK_BYTES) {
            long size = Math.min(CHUNK_BYTES, bytes.byteSize() - position);
            var chunk = bytes.asSlice(position, size).asByteBuffer();
            while (chunk.hasRemaining()) {
                channel.write(chunk);
            }
        }
    }
}
