package dev.panthera.testing;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Reads TensorBoard's event files bit by bit, sharing nothing with what writes them. */
public final class EventFiles {
    private EventFiles() {}

    /**
     * @param version of the file; only the first event has one
     * @param sessionStatus of the session log; 0: none
     * @param scalars by tag
     * @param texts by tag
     */
    public record Event(
            double wallTime,
            long step,
            @Nullable String version,
            long sessionStatus,
            Map<String, Float> scalars,
            Map<String, String> texts) {}

    /** The event files of a run's folder in the order in which TensorBoard reads them. */
    public static List<Path> in(Path folder) throws IOException {
        try (var files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().contains("tfevents"))
                    .sorted()
                    .toList();
        }
    }

    /** The events of a file; fails if a CRC is wrong or bytes are left. */
    public static List<Event> read(Path file) throws IOException {
        var bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        List<Event> events = new ArrayList<>();
        while (bytes.hasRemaining()) {
            long length = bytes.getLong(bytes.position());
            checked(bytes, Long.BYTES);
            events.add(event(checked(bytes, (int) length)));
        }
        return events;
    }

    private static byte[] checked(ByteBuffer bytes, int count) {
        byte[] data = new byte[count];
        bytes.get(data);
        int crc = crc32c(data);
        int masked = ((crc >>> 15) | (crc << 17)) + 0xa282ead8;
        assertThat(bytes.getInt()).isEqualTo(masked);
        return data;
    }

    /** Reflected polynomial 0x1EDC6F41, a bit at a time. */
    private static int crc32c(byte[] data) {
        int crc = -1;
        for (byte value : data) {
            crc ^= value & 0xff;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc >>> 1) ^ ((crc & 1) * 0x82F63B78);
            }
        }
        return ~crc;
    }

    private static Event event(byte[] data) {
        Map<Integer, List<Object>> fields = fields(data);
        Map<String, Float> scalars = new LinkedHashMap<>();
        Map<String, String> texts = new LinkedHashMap<>();
        for (Object summary : fields.getOrDefault(5, List.of())) {
            for (Object value : fields((byte[]) summary).getOrDefault(1, List.of())) {
                addValue(fields((byte[]) value), scalars, texts);
            }
        }
        byte[] version = (byte[]) only(fields, 3);
        byte[] session = (byte[]) only(fields, 7);
        Long step = (Long) only(fields, 2);
        return new Event(
                Double.longBitsToDouble((Long) only(fields, 1)),
                step == null ? 0 : step,
                version == null ? null : new String(version, UTF_8),
                session == null ? 0 : (Long) only(fields(session), 1),
                scalars,
                texts);
    }

    private static void addValue(
            Map<Integer, List<Object>> value,
            Map<String, Float> scalars,
            Map<String, String> texts) {
        String tag = new String((byte[]) only(value, 1), UTF_8);
        if (value.containsKey(2)) {
            scalars.put(tag, Float.intBitsToFloat((Integer) only(value, 2)));
            return;
        }
        var tensor = fields((byte[]) only(value, 8));
        assertThat(only(tensor, 1)).isEqualTo(7L);
        texts.put(tag, new String((byte[]) only(tensor, 8), UTF_8));
        var plugin = fields((byte[]) only(fields((byte[]) only(value, 9)), 1));
        assertThat(new String((byte[]) only(plugin, 1), UTF_8)).isEqualTo("text");
    }

    private static @Nullable Object only(Map<Integer, List<Object>> fields, int number) {
        List<Object> values = fields.getOrDefault(number, List.of());
        assertThat(values).hasSizeLessThanOrEqualTo(1);
        return values.isEmpty() ? null : values.getFirst();
    }

    /** Of a protocol buffer message: Long for varint and fixed64, Integer for fixed32, otherwise bytes. */
    private static Map<Integer, List<Object>> fields(byte[] data) {
        var bytes = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        Map<Integer, List<Object>> fields = new LinkedHashMap<>();
        while (bytes.hasRemaining()) {
            int tag = (int) varint(bytes);
            Object value =
                    switch (tag & 7) {
                        case 0 -> varint(bytes);
                        case 1 -> bytes.getLong();
                        case 2 -> {
                            byte[] content = new byte[(int) varint(bytes)];
                            bytes.get(content);
                            yield content;
                        }
                        case 5 -> bytes.getInt();
                        default -> throw new AssertionError("wire type of tag " + tag);
                    };
            fields.computeIfAbsent(tag >>> 3, number -> new ArrayList<>()).add(value);
        }
        return fields;
    }

    private static long varint(ByteBuffer bytes) {
        long value = 0;
        for (int shift = 0; ; shift += 7) {
            byte next = bytes.get();
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value;
            }
        }
    }
}
