package dev.panthera.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** One JSON object on one line, keys in the order they were added. */
final class JsonLine {
    private final Map<String, Object> values = new LinkedHashMap<>();

    JsonLine with(String key, Object value) {
        values.put(key, value);
        return this;
    }

    @Override
    public String toString() {
        return JsonMapper.shared().writeValueAsString(values);
    }
}
