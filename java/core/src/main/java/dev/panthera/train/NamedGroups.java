package dev.panthera.train;

import dev.panthera.NamedConfigs;
import dev.panthera.mixer.FeatureMaps;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.Selections;
import dev.panthera.task.GapLaws;
import dev.panthera.task.Tasks;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Puts new values over old ones in a configuration's tree, and fills in the usual options of mixers, their parts and tasks. */
final class NamedGroups {
    /** What a key's value names a kind of. */
    static final Map<String, NamedConfigs<?>> KINDS =
            Map.of(
                    "mixer", Mixers.SEQUENCE,
                    "configs", Mixers.SEQUENCE,
                    "state_mixer", Mixers.STATE,
                    "feature_map", FeatureMaps.ALL,
                    "selection", Selections.ALL,
                    "task", Tasks.ALL,
                    "gap_law", GapLaws.ALL);

    private NamedGroups() {}

    /** What stands under a key when a value comes over an old one. Groups are merged, lists replaced. */
    static JsonNode combine(String key, @Nullable JsonNode old, JsonNode value) {
        return switch (value) {
            case ArrayNode list -> list(key, old, list);
            case ObjectNode group when KINDS.containsKey(key) -> named(key, old, group);
            case ObjectNode group when old instanceof ObjectNode known ->
                    merged(known.deepCopy(), group);
            case ObjectNode group -> merged(group.objectNode(), group);
            default ->
                    value.isString() && KINDS.containsKey(key)
                            ? named(key, old, group(value))
                            : value;
        };
    }

    private static ObjectNode group(JsonNode name) {
        ObjectNode group = ConfigFile.JSON.createObjectNode();
        group.set(ConfigFile.KIND, name);
        return group;
    }

    private static ObjectNode merged(ObjectNode target, ObjectNode layer) {
        layer.properties()
                .forEach(entry ->
                        target.set(
                                entry.getKey(),
                                combine(
                                        entry.getKey(),
                                        target.get(entry.getKey()),
                                        entry.getValue())));
        return target;
    }

    private static ObjectNode named(String key, @Nullable JsonNode old, ObjectNode layer) {
        JsonNode kind = layer.get(ConfigFile.KIND);
        boolean sameKind =
                old instanceof ObjectNode known
                        && (kind == null || kind.equals(known.get(ConfigFile.KIND)));
        if (sameKind) {
            return merged((ObjectNode) old.deepCopy(), layer);
        }
        return merged(usual(KINDS.get(key), kind), layer);
    }

    private static <T> ObjectNode usual(NamedConfigs<T> kinds, @Nullable JsonNode kind) {
        String name = kind == null || !kind.isString() ? "" : kind.asString();
        return kinds.contains(name)
                ? ConfigFile.tree(kinds.named(name), kinds.type())
                : ConfigFile.JSON.createObjectNode();
    }

    /** Elements that are groups are complete, but for the mixers and tasks in them, which start from those that were there. */
    private static ArrayNode list(String key, @Nullable JsonNode old, ArrayNode values) {
        ArrayNode list = values.arrayNode();
        for (int i = 0; i < values.size(); i++) {
            JsonNode before =
                    old instanceof ArrayNode known && !known.isEmpty()
                            ? known.get(Math.min(i, known.size() - 1))
                            : null;
            JsonNode value = values.get(i);
            list.add(
                    value instanceof ObjectNode group && !KINDS.containsKey(key)
                            ? element(before, group)
                            : combine(key, before, value));
        }
        return list;
    }

    private static ObjectNode element(@Nullable JsonNode old, ObjectNode value) {
        ObjectNode element = value.objectNode();
        value.properties()
                .forEach(entry ->
                        element.set(
                                entry.getKey(),
                                combine(
                                        entry.getKey(),
                                        old == null ? null : old.get(entry.getKey()),
                                        entry.getValue())));
        return element;
    }
}
