package dev.panthera.train;

import java.util.Map;
import java.util.function.BiConsumer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.BooleanNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * Keys of a configuration that came after others had been stored. What is stored without them means their default: so old
 * checkpoints can be read, and a trial is the same trial whether or not its configuration states a default.
 */
final class LaterKeys {
    private static final Map<String, JsonNode> RUN =
            Map.of("loss", StringNode.valueOf("cross-entropy"));

    private static final Map<String, JsonNode> MODEL =
            Map.of(
                    "block", StringNode.valueOf("auto"),
                    "embedding_init", StringNode.valueOf("default"));

    /** Of mixers, by their name, wherever in the model's mixer they are. */
    private static final Map<String, Map<String, JsonNode>> MIXERS =
            Map.of(
                    "attention", Map.of("rotary", BooleanNode.FALSE),
                    "sliding-attention", Map.of("rotary", BooleanNode.FALSE));

    private LaterKeys() {}

    /** Adds the keys that are missing. */
    static void fillIn(JsonNode config) {
        forEachGroup(
                config,
                (group, keys) ->
                        keys.forEach((key, usual) -> {
                            if (!group.has(key)) {
                                group.set(key, usual);
                            }
                        }));
    }

    /** Removes the keys that have their default. */
    static void leaveOut(JsonNode config) {
        forEachGroup(
                config,
                (group, keys) ->
                        keys.forEach((key, usual) -> {
                            if (usual.equals(group.get(key))) {
                                group.remove(key);
                            }
                        }));
    }

    private static void forEachGroup(
            JsonNode config, BiConsumer<ObjectNode, Map<String, JsonNode>> action) {
        apply(config, RUN, action);
        apply(config.path("model"), MODEL, action);
        forEachMixer(config.path("model").path("mixer"), action);
    }

    private static void forEachMixer(
            JsonNode node, BiConsumer<ObjectNode, Map<String, JsonNode>> action) {
        String name = node.path(ConfigFile.KIND).asString("");
        apply(node, MIXERS.getOrDefault(name, Map.of()), action);
        node.values().forEach(part -> forEachMixer(part, action));
    }

    private static void apply(
            JsonNode node,
            Map<String, JsonNode> keys,
            BiConsumer<ObjectNode, Map<String, JsonNode>> action) {
        if (node instanceof ObjectNode group) {
            action.accept(group, keys);
        }
    }
}
