package dev.panthera.train;

import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Keys of a configuration that came after others had been stored. What is stored without them means their default: so old
 * checkpoints can be read, and a trial is the same trial whether or not its configuration states a default.
 */
final class LaterKeys {
    private static final String ROOT = "";

    /** The default of each key, by the group that it belongs to. */
    private static final Map<String, Map<String, String>> DEFAULTS =
            Map.of(
                    ROOT, Map.of("loss", "cross-entropy"),
                    "model", Map.of("block", "auto", "embedding_init", "default"));

    private LaterKeys() {}

    /** Adds the keys that are missing. */
    static void fillIn(JsonNode config) {
        DEFAULTS.forEach((group, keys) -> {
            if (group(config, group) instanceof ObjectNode found) {
                keys.forEach((key, usual) -> {
                    if (!found.has(key)) {
                        found.put(key, usual);
                    }
                });
            }
        });
    }

    /** Removes the keys that have their default. */
    static void leaveOut(JsonNode config) {
        DEFAULTS.forEach((group, keys) -> {
            if (group(config, group) instanceof ObjectNode found) {
                keys.forEach((key, usual) -> {
                    if (found.path(key).asString("").equals(usual)) {
                        found.remove(key);
                    }
                });
            }
        });
    }

    private static JsonNode group(JsonNode config, String name) {
        return name.equals(ROOT) ? config : config.path(name);
    }
}
