package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A sweep as a YAML file, for those who want no Java:
 *
 * <pre>{@code
 * name: widths                                 # the file's name if it is left out
 * preset: figure-2                             # what is not said; this one if it is left out
 * set: {epochs: 16, data.train.*.examples: 20000}
 * over:
 *   mixer: [attention, {name: base-conv, taps: [3, -1]}]
 *   d_model: [64, 128]
 *   lr: [1e-3, 1e-2]
 * scales:
 *   small: {set: {epochs: 4}, over: {d_model: [64]}}
 * }</pre>
 *
 * Keys of {@code over} are short names (lr, d_model, layers, mixer, seed, batch) or paths of the configuration; a group
 * {@code {label: ..., set: {path: value, ...}}} as a value sets several things together.
 */
public final class GridFile {
    private static final Set<String> KEYS =
            Set.of("name", "description", "preset", "set", "over", "scales");

    private GridFile() {}

    /**
     * Reads a sweep.
     *
     * @throws UserException if the file cannot be read, is no YAML, or has keys that mean nothing
     */
    public static Sweep read(Path file) {
        ObjectNode root = ConfigDraft.readTree(file);
        requireKnown(file, root, KEYS);
        String stem = file.getFileName().toString().replaceFirst("\\.[^.]*$", "");
        Sweep sweep = Sweep.named(root.path("name").asString(stem));
        sweep.description(root.path("description").asString(""));
        sweep.from(Presets.named(root.path("preset").asString(Presets.FIGURE_2)));
        change(file, sweep, root);
        group(file, root, "scales")
                .properties()
                .forEach(scale -> {
                    ObjectNode content =
                            asGroup(file, "scales." + scale.getKey(), scale.getValue());
                    requireKnown(file, content, Set.of("set", "over"));
                    sweep.scale(scale.getKey(), scaled -> change(file, scaled, content));
                });
        return sweep;
    }

    private static void change(Path file, Sweep sweep, ObjectNode root) {
        group(file, root, "set")
                .properties()
                .forEach(entry ->
                        Factor.Paths.named(entry.getKey())
                                .paths()
                                .forEach(path -> sweep.set(path, entry.getValue())));
        Map<String, String> keys = new HashMap<>();
        group(file, root, "over")
                .properties()
                .forEach(entry -> {
                    Factor factor = factor(file, entry.getKey(), entry.getValue());
                    String twin = keys.put(factor.name(), entry.getKey());
                    UserException.require(
                            twin == null,
                            "%s: over.%s and over.%s are the same thing; leave one out",
                            file,
                            twin,
                            entry.getKey());
                    sweep.over(factor);
                });
    }

    private static Factor factor(Path file, String key, JsonNode values) {
        UserException.require(
                values instanceof ArrayNode,
                "%s: over.%s: it must be a list of values, for example [64, 128]",
                file,
                key);
        var paths = Factor.Paths.named(key);
        List<Level> levels = new ArrayList<>();
        for (JsonNode value : values) {
            levels.add(level(file, paths, value));
        }
        return new Factor(paths.name(), levels);
    }

    private static Level level(Path file, Factor.Paths paths, JsonNode value) {
        if (value instanceof ObjectNode group && group.has("set")) {
            requireKnown(file, group, Set.of("label", "set"));
            Map<String, Object> settings = new LinkedHashMap<>();
            asGroup(file, "over." + paths.name(), group.get("set"))
                    .properties()
                    .forEach(entry ->
                            Factor.Paths.named(entry.getKey())
                                    .paths()
                                    .forEach(path -> settings.put(path, entry.getValue())));
            String label = group.path("label").asString("");
            UserException.require(
                    !label.isEmpty(),
                    "%s: over.%s: a group of settings needs a label",
                    file,
                    paths.name());
            return new Level(label, settings, true);
        }
        Object plain = value.isValueNode() ? ConfigDraft.plain(value) : value;
        String label = value.path("name").asString(Factor.label(plain));
        return new Factor.Paths(paths.name(), paths.paths()).level(label, plain);
    }

    private static ObjectNode group(Path file, ObjectNode root, String key) {
        JsonNode node = root.get(key);
        return node == null ? root.objectNode() : asGroup(file, key, node);
    }

    private static ObjectNode asGroup(Path file, String key, JsonNode node) {
        if (node instanceof ObjectNode group) {
            return group;
        }
        throw new UserException("%s: %s: it must be a group of keys".formatted(file, key));
    }

    private static void requireKnown(Path file, ObjectNode group, Set<String> known) {
        for (String key : group.propertyNames()) {
            UserException.require(
                    known.contains(key),
                    "%s: %s: there is no such key; possible here: %s",
                    file,
                    key,
                    String.join(", ", known.stream().sorted().toList()));
        }
    }
}
