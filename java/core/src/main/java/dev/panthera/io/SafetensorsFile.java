package dev.panthera.io;

import dev.panthera.UserException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A safetensors file, mapped into memory: an 8-byte little-endian header length, a JSON header, then the tensors' bytes
 * without gaps. Everything in the header is checked before any tensor is handed out.
 * Format: <a href="https://github.com/huggingface/safetensors">huggingface/safetensors</a>.
 *
 * @param path     where it was read from, for messages
 * @param metadata the header's string map, empty if it has none
 * @param tensors  by name, in the header's order
 */
public record SafetensorsFile(
        Path path, Map<String, String> metadata, Map<String, StoredTensor> tensors) {

    static final int LENGTH_BYTES = Long.BYTES;
    static final ValueLayout.OfLong LENGTH =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    public SafetensorsFile {
        metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
        tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
    }

    /** Reads a file whose mapping is released once neither it nor any of its tensors is reachable. */
    public static SafetensorsFile read(Path path) {
        return read(path, Arena.ofAuto());
    }

    /**
     * Reads a file.
     *
     * @param arena lifetime of the mapping, hence of the tensors' data
     * @throws UserException if the file cannot be read or is not a valid safetensors file; names the file and the cause
     */
    public static SafetensorsFile read(Path path, Arena arena) {
        if (Files.isDirectory(path)) {
            throw new UserException(
                    "cannot read %s: it is a folder; name a .safetensors file".formatted(path));
        }
        MemorySegment file;
        try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
            file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (IOException failure) {
            throw cannotRead(path, failure);
        }
        try {
            return parse(path, file);
        } catch (UserException problem) {
            throw new UserException("%s: %s".formatted(path, problem.getMessage()), problem);
        }
    }

    /**
     * The tensor of that name.
     *
     * @throws UserException if there is none; lists what there is
     */
    public StoredTensor tensor(String name) {
        StoredTensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new UserException(
                    "%s: no tensor %s; it has %s".formatted(path, name, tensors.keySet()));
        }
        return tensor;
    }

    private static SafetensorsFile parse(Path path, MemorySegment file) {
        UserException.require(
                file.byteSize() >= LENGTH_BYTES,
                "not a safetensors file: %d bytes are too few for the header's length; was it cut off?",
                file.byteSize());
        long headerBytes = file.get(LENGTH, 0);
        UserException.require(
                headerBytes >= 2 && headerBytes <= SafetensorsHeader.MAX_BYTES,
                "not a safetensors file: its header would have %s bytes; expected 2 to %d",
                Long.toUnsignedString(headerBytes),
                SafetensorsHeader.MAX_BYTES);
        long available = file.byteSize() - LENGTH_BYTES;
        UserException.require(
                headerBytes <= available,
                "header of %d bytes, but only %d follow; the file is cut off or not safetensors",
                headerBytes,
                available);
        byte[] json = file.asSlice(LENGTH_BYTES, headerBytes).toArray(ValueLayout.JAVA_BYTE);
        MemorySegment data = file.asSlice(LENGTH_BYTES + headerBytes);
        SafetensorsHeader header = SafetensorsHeader.parse(json, data.byteSize());
        var tensors = new LinkedHashMap<String, StoredTensor>();
        header.entries()
                .forEach(entry ->
                        tensors.put(
                                entry.name(),
                                new StoredTensor(
                                        entry.name(),
                                        entry.type(),
                                        entry.shape(),
                                        data.asSlice(entry.begin(), entry.end() - entry.begin()))));
        return new SafetensorsFile(path, header.metadata(), tensors);
    }

    private static UserException cannotRead(Path path, IOException failure) {
        String cause =
                switch (failure) {
                    case NoSuchFileException _ -> "no such file; check the path";
                    case AccessDeniedException _ ->
                            "permission denied; check the file's owner and mode";
                    default -> String.valueOf(failure.getMessage());
                };
        return new UserException("cannot read %s: %s".formatted(path, cause), failure);
    }
}
