package dev.panthera.io;

import dev.panthera.UserException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The JSON header of a safetensors file: checked when parsed, padded with spaces to 8 bytes when written. */
record SafetensorsHeader(Map<String, String> metadata, List<Entry> entries) {

    /** The limit of the reference implementation. */
    static final long MAX_BYTES = 100_000_000;

    private static final String METADATA = "__metadata__";
    private static final Set<String> FIELDS = Set.of("dtype", "shape", "data_offsets");
    private static final int ALIGNMENT = 8;
    private static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
                    .build();

    /** One tensor; its bytes are [begin, end) of what follows the header. */
    record Entry(String name, StoredType type, long[] shape, long begin, long end) {}

    /** Parses a header, given how many bytes follow it. */
    static SafetensorsHeader parse(byte[] json, long dataBytes) {
        UserException.require(
                json[0] == '{', "not a safetensors file: its header does not start with '{'");
        JsonNode root;
        try {
            root = JSON.readTree(json);
        } catch (JacksonException malformed) {
            throw new UserException(
                    "not a safetensors file: its header is not valid JSON: "
                            + malformed.getOriginalMessage(),
                    malformed);
        }
        var metadata = new LinkedHashMap<String, String>();
        var entries = new ArrayList<Entry>();
        for (var property : root.properties()) {
            if (property.getKey().equals(METADATA)) {
                readMetadata(property.getValue(), metadata);
            } else {
                entries.add(readEntry(property.getKey(), property.getValue()));
            }
        }
        requireContiguous(entries, dataBytes);
        return new SafetensorsHeader(metadata, List.copyOf(entries));
    }

    private static void readMetadata(JsonNode node, Map<String, String> metadata) {
        UserException.require(node.isObject(), "%s must map names to strings", METADATA);
        for (var property : node.properties()) {
            UserException.require(
                    property.getValue().isString(),
                    "%s: the value of %s must be a string",
                    METADATA,
                    property.getKey());
            metadata.put(property.getKey(), property.getValue().stringValue());
        }
    }

    private static Entry readEntry(String name, JsonNode node) {
        UserException.require(
                node.isObject() && Set.copyOf(node.propertyNames()).equals(FIELDS),
                "tensor %s: expected exactly dtype, shape and data_offsets",
                name);
        JsonNode dtype = node.get("dtype");
        StoredType type =
                StoredType.named(dtype.asString(""))
                        .orElseThrow(() ->
                                new UserException(
                                        "tensor %s: dtype %s is not supported; expected one of %s"
                                                .formatted(
                                                        name,
                                                        dtype,
                                                        Arrays.toString(StoredType.values()))));
        long[] shape = readSizes(name, "shape", node.get("shape"));
        long[] offsets = readSizes(name, "data_offsets", node.get("data_offsets"));
        UserException.require(
                offsets.length == 2 && offsets[0] <= offsets[1],
                "tensor %s: data_offsets %s must be [begin, end] with begin <= end",
                name,
                Arrays.toString(offsets));
        long bytes = StoredTensor.byteSize(name, type, shape);
        UserException.require(
                offsets[1] - offsets[0] == bytes,
                "tensor %s: shape %s of %s needs %d bytes, but data_offsets %s span %d",
                name,
                Arrays.toString(shape),
                type,
                bytes,
                Arrays.toString(offsets),
                offsets[1] - offsets[0]);
        return new Entry(name, type, shape, offsets[0], offsets[1]);
    }

    private static long[] readSizes(String name, String field, @Nullable JsonNode node) {
        UserException.require(
                node != null && node.isArray(), "tensor %s: %s must be a list", name, field);
        long[] sizes = new long[node.size()];
        for (int i = 0; i < sizes.length; i++) {
            JsonNode size = node.get(i);
            UserException.require(
                    size.isIntegralNumber() && size.canConvertToLong() && size.longValue() >= 0,
                    "tensor %s: %s has %s; expected integers from 0 to 2^63 - 1",
                    name,
                    field,
                    size);
            sizes[i] = size.longValue();
        }
        return sizes;
    }

    /** Tensors must follow each other without gaps or overlaps and end where the file ends. */
    private static void requireContiguous(List<Entry> entries, long dataBytes) {
        long position = 0;
        String previous = "the header";
        var inFileOrder =
                entries.stream()
                        .sorted(Comparator.comparingLong(Entry::begin).thenComparing(Entry::end))
                        .toList();
        for (Entry entry : inFileOrder) {
            UserException.require(
                    entry.begin() == position,
                    "tensor %s begins at %d, but %s ends at %d: %s",
                    entry.name(),
                    entry.begin(),
                    previous,
                    position,
                    entry.begin() < position ? "they overlap" : "there is a gap");
            position = entry.end();
            previous = "tensor " + entry.name();
        }
        UserException.require(
                position <= dataBytes,
                "%s ends at %d, but only %d bytes of data follow the header; "
                        + "the file is cut off",
                previous,
                position,
                dataBytes);
        UserException.require(
                position == dataBytes,
                "%d bytes follow the last tensor; the file is damaged",
                dataBytes - position);
    }

    /** The header as bytes, so long that the tensors after it start at a multiple of 8 in the file. */
    byte[] toBytes() {
        ObjectNode root = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode strings = root.putObject(METADATA);
            metadata.forEach(strings::put);
        }
        for (Entry entry : entries) {
            ObjectNode fields = root.putObject(entry.name());
            fields.put("dtype", entry.type().name());
            var shape = fields.putArray("shape");
            for (long extent : entry.shape()) {
                shape.add(extent);
            }
            fields.putArray("data_offsets").add(entry.begin()).add(entry.end());
        }
        byte[] json = root.toString().getBytes(StandardCharsets.UTF_8);
        byte[] padded = Arrays.copyOf(json, Math.ceilDiv(json.length, ALIGNMENT) * ALIGNMENT);
        Arrays.fill(padded, json.length, padded.length, (byte) ' ');
        return padded;
    }
}
