package dev.panthera.report;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Trees of JSON. */
final class Json {
    private static final JsonMapper MAPPER = JsonMapper.shared();

    private Json() {}

    static JsonNode tree(String text) {
        return MAPPER.readTree(text);
    }

    static ObjectNode object(String text) {
        return (ObjectNode) tree(text);
    }

    static ArrayNode array(Iterable<?> values) {
        ArrayNode array = MAPPER.createArrayNode();
        values.forEach(value -> array.add(MAPPER.<JsonNode>valueToTree(value)));
        return array;
    }

    static String text(Object value) {
        return MAPPER.writeValueAsString(value);
    }

    static String pretty(JsonNode tree) {
        return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(tree);
    }
}
