package dev.panthera.sweep;

import java.util.Map;
import java.util.TreeMap;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** The maps in a store's columns. */
final class StoredJson {
    private static final JsonMapper JSON = JsonMapper.shared();

    private StoredJson() {}

    static Map<String, String> texts(String json) {
        return JSON.readValue(json, new TypeReference<>() {});
    }

    static Map<String, Map<Integer, Double>> slices(String json) {
        return JSON.readValue(json, new TypeReference<TreeMap<String, Map<Integer, Double>>>() {});
    }
}
