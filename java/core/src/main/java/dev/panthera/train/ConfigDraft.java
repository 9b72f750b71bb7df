package dev.panthera.train;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * A configuration in the making: starts as a complete one, takes over what files and single values say, and is checked
 * as a whole at the end, so that values may be impossible without those that follow. Keys are as in {@link ConfigFile};
 * a dotted path leads through groups and lists, for example {@code model.d_model}, {@code data.train.0.length}, or
 * {@code data.train.*.length} for all elements.
 */
public final class ConfigDraft {
    private static final YAMLMapper YAML =
            YAMLMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();
    private static final String ALL = "*";

    private final ObjectNode root;

    private ConfigDraft(ObjectNode root) {
        this.root = root;
    }

    /** A draft that says what {@code config} says. */
    public static ConfigDraft of(TrainConfig config) {
        return new ConfigDraft(ConfigFile.JSON.valueToTree(config));
    }

    /**
     * Takes over what a file of YAML, or of JSON if it is named so, says; a list replaces the whole list. Returns this.
     *
     * @throws UserException if the file cannot be read or is no group of keys
     */
    public ConfigDraft merge(Path file) {
        ObjectMapper mapper = file.toString().endsWith(".json") ? ConfigFile.JSON : YAML;
        JsonNode layer = parse(mapper, read(file), file.toString());
        if (!(layer instanceof ObjectNode group)) {
            throw new UserException(
                    "%s: a configuration is a group of keys, for example \"epochs: 32\""
                            .formatted(file));
        }
        merge(root, group);
        return this;
    }

    /**
     * Sets one value, given as YAML: {@code 64}, {@code 1e-3}, {@code zero}, {@code [attention, attention]}.
     *
     * @throws UserException if the path leads through something that has no keys, or the value is no YAML
     */
    public ConfigDraft setYaml(String path, String yaml) {
        set(path, parse(YAML, yaml, path));
        return this;
    }

    /** Sets one value: a number, text, Boolean or list of these. */
    public ConfigDraft set(String path, Object value) {
        set(path, ConfigFile.JSON.<JsonNode>valueToTree(value));
        return this;
    }

    /** The value at a path as text: plain for a number or word, else JSON; empty if there is nothing. */
    public String text(String path) {
        JsonNode node = root.at("/" + path.replace(".*.", ".0.").replace('.', '/'));
        if (node.isContainer() && node.isEmpty()) {
            return "";
        }
        return node.isValueNode() ? node.asString() : node.toString();
    }

    /**
     * The configuration.
     *
     * @throws UserException if a key is unknown, a value of the wrong kind, or the configuration impossible
     */
    public TrainConfig toConfig() {
        return ConfigFile.toConfig(root);
    }

    private static void merge(ObjectNode target, ObjectNode layer) {
        for (Map.Entry<String, JsonNode> entry : layer.properties()) {
            String key = entry.getKey();
            if (target.get(key) instanceof ObjectNode group
                    && entry.getValue() instanceof ObjectNode inner) {
                merge(group, inner);
            } else {
                target.set(key, entry.getValue());
            }
        }
    }

    private void set(String path, JsonNode value) {
        List<String> keys = List.of(path.split("\\.", -1));
        set(root, keys, value, path);
    }

    private static void set(JsonNode node, List<String> keys, JsonNode value, String path) {
        String key = keys.getFirst();
        List<String> rest = keys.subList(1, keys.size());
        switch (node) {
            case ObjectNode group when rest.isEmpty() -> group.set(key, value);
            case ObjectNode group -> set(child(group, key, path), rest, value, path);
            case ArrayNode list when !rest.isEmpty() && key.equals(ALL) ->
                    list.forEach(element -> set(element, rest, value, path));
            case ArrayNode list when !rest.isEmpty() ->
                    set(element(list, key, path), rest, value, path);
            default ->
                    throw new UserException(
                            "%s: there is nothing to set below a value or list".formatted(path));
        }
    }

    private static JsonNode child(ObjectNode group, String key, String path) {
        JsonNode child = group.get(key);
        UserException.require(
                child != null,
                "%s: there is no key %s; possible here: %s",
                path,
                key,
                String.join(", ", group.propertyNames()));
        return child;
    }

    private static JsonNode element(ArrayNode list, String index, String path) {
        JsonNode element = index.matches("\\d{1,6}") ? list.get(Integer.parseInt(index)) : null;
        UserException.require(
                element != null,
                "%s: the list has %d elements; %s must be a number from 0, or * for all",
                path,
                list.size(),
                index);
        return element;
    }

    private static JsonNode parse(ObjectMapper mapper, String text, String origin) {
        try {
            return mapper.readTree(text);
        } catch (JacksonException failure) {
            throw new UserException(
                    "%s: it is neither YAML nor JSON%s: %s"
                            .formatted(
                                    origin,
                                    place(failure.getLocation()),
                                    failure.getOriginalMessage().lines().findFirst().orElse("")),
                    failure);
        }
    }

    /** Absent where a limit of the parser was exceeded, such as that of a number's digits. */
    private static String place(@Nullable TokenStreamLocation location) {
        return location == null
                ? ""
                : " (line %d, column %d)".formatted(location.getLineNr(), location.getColumnNr());
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (NoSuchFileException failure) {
            throw new UserException("--config %s: there is no such file".formatted(file), failure);
        } catch (CharacterCodingException failure) {
            throw new UserException("--config %s: it is no text in UTF-8".formatted(file), failure);
        } catch (IOException failure) {
            throw new UserException(
                    "--config %s: it cannot be read (%s)".formatted(file, failure.getMessage()),
                    failure);
        }
    }
}
