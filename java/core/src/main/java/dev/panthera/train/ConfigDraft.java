package dev.panthera.train;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
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
 * a dotted path leads through groups and lists, for example {@code model.d_model}, {@code data.train.0.examples}, or
 * {@code data.train.*.examples} for all elements; {@code model.mixer.**.heads} means every key {@code heads} in the group
 * {@code model.mixer} and below it, {@code data.test.*.task.**.length} every length of a test. Mixers and tasks may be
 * given by their name alone, which means their usual options, and with those options only that differ from the usual
 * ones, or from those that they have already.
 */
public final class ConfigDraft {
    private static final YAMLMapper YAML =
            YAMLMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();
    private static final String ALL = "*";
    private static final String ANYWHERE = "**";

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
        merge(root, readTree(file));
        return this;
    }

    /**
     * What a file of YAML, or of JSON if it is named so, says.
     *
     * @throws UserException if the file cannot be read or is no group of keys
     */
    public static ObjectNode readTree(Path file) {
        ObjectMapper mapper = file.toString().endsWith(".json") ? ConfigFile.JSON : YAML;
        JsonNode layer = parse(mapper, read(file), file.toString());
        if (!(layer instanceof ObjectNode group)) {
            throw new UserException(
                    "%s: it must be a group of keys, for example \"epochs: 32\"".formatted(file));
        }
        return group;
    }

    /**
     * Sets one value, given as YAML: {@code 64}, {@code 1e-3}, {@code zero}, {@code [attention, attention]}.
     *
     * @throws UserException if the path leads through something that has no keys, or the value is no YAML
     */
    public ConfigDraft setYaml(String path, String yaml) {
        return setAll(List.of(path), parse(YAML, yaml, path), path);
    }

    /** Sets one value: a number, text, Boolean, list of these, or a mixer or task with its options. */
    public ConfigDraft set(String path, Object value) {
        return setAll(List.of(path), value);
    }

    /**
     * Values with commas between them, each as YAML, for {@link #set}; a number comes as one.
     *
     * @param origin named in an error
     * @throws UserException if they are no YAML
     */
    public static List<Object> yamlList(String text, String origin) {
        List<Object> values = new ArrayList<>();
        parse(YAML, "[" + text + "]", origin)
                .forEach(value -> values.add(value.isValueNode() ? plain(value) : value));
        return values;
    }

    /** A tree that is a number, text or Boolean as that. */
    public static Object plain(JsonNode value) {
        return ConfigFile.JSON.treeToValue(value, Object.class);
    }

    /**
     * Sets one value at several paths, some of which may lead nowhere.
     *
     * @throws UserException if all of them do
     */
    public ConfigDraft setAll(List<String> paths, Object value) {
        return setAll(paths, value, paths.getFirst());
    }

    /**
     * Sets one value at several paths, some of which may lead nowhere.
     *
     * @param origin what the user gave, for messages: {@code --heads 3}
     * @throws UserException if all of the paths lead nowhere
     */
    public ConfigDraft setAll(List<String> paths, Object value, String origin) {
        JsonNode tree = tree(value);
        int set = 0;
        for (String path : paths) {
            set += set(keys(path), tree, origin);
        }
        if (set == 0) {
            throw new UserException(leadsNowhere(keys(paths.getLast()), origin));
        }
        return this;
    }

    /** Of a list each element by itself: the list does not know that its elements have kinds. */
    private static JsonNode tree(Object value) {
        if (!(value instanceof List<?> list)) {
            return ConfigFile.JSON.valueToTree(value);
        }
        ArrayNode elements = ConfigFile.JSON.createArrayNode();
        list.forEach(element -> elements.add(tree(element)));
        return elements;
    }

    private String leadsNowhere(List<String> keys, String origin) {
        int anywhere = keys.indexOf(ANYWHERE);
        if (anywhere < 0) {
            String list = String.join(".", keys.subList(0, Math.max(0, keys.indexOf(ALL))));
            return "%s: the list %s is empty; give it elements first, or leave this out"
                    .formatted(origin, list);
        }
        List<String> above = keys.subList(0, anywhere);
        Set<String> options = new LinkedHashSet<>();
        all(above).forEach(node -> collectOptions(node, options));
        return "%s: %s has no option %s, %s; leave it out or choose another %s"
                .formatted(
                        origin,
                        text(String.join(".", above)),
                        keys.getLast(),
                        options.isEmpty() ? "nor any other" : "only " + String.join(", ", options),
                        above.getLast().replace('_', ' '));
    }

    /** Names of values, without those of groups and lists of groups. */
    private static void collectOptions(JsonNode node, Set<String> options) {
        for (var entry : node.properties()) {
            JsonNode value = entry.getValue();
            boolean groups = value.isObject() || value.path(0).isObject();
            if (!groups && !entry.getKey().equals(ConfigFile.KIND)) {
                options.add(entry.getKey());
            }
        }
        node.forEach(child -> collectOptions(child, options));
    }

    private static List<String> keys(String path) {
        List<String> keys = List.of(path.split("\\.", -1));
        int anywhere = keys.indexOf(ANYWHERE);
        UserException.require(
                anywhere < 0 || anywhere > 0 && anywhere == keys.size() - 2,
                "%s: ** stands between a group and the last key, for example model.mixer.**.heads",
                path);
        return keys;
    }

    /**
     * The value at a path as text: plain for a number or word, the name of a mixer or task, else JSON; the first if there are
     * several, empty if there is none.
     */
    public String text(String path) {
        List<String> keys = keys(path);
        int anywhere = keys.indexOf(ANYWHERE);
        if (anywhere >= 0) {
            return groups(keys.subList(0, anywhere), keys.getLast()).stream()
                    .findFirst()
                    .map(group -> text(group.get(keys.getLast())))
                    .orElse("");
        }
        return text(root.at("/" + path.replace(".*.", ".0.").replace('.', '/')));
    }

    private static String text(JsonNode node) {
        if (node.isContainer() && node.isEmpty()) {
            return "";
        }
        JsonNode kind = node.path(ConfigFile.KIND);
        if (kind.isString()) {
            return kind.asString();
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

    /**
     * The data of the configuration, whatever is said of its model.
     *
     * @throws UserException if a key is unknown, a value of the wrong kind, or the data impossible
     */
    public DataOptions toData() {
        return ConfigFile.toData(root.path("data"));
    }

    private static void merge(ObjectNode target, ObjectNode layer) {
        for (Map.Entry<String, JsonNode> entry : layer.properties()) {
            String key = entry.getKey();
            target.set(key, NamedGroups.combine(key, target.get(key), entry.getValue()));
        }
    }

    private int set(List<String> keys, JsonNode value, String origin) {
        int anywhere = keys.indexOf(ANYWHERE);
        if (anywhere < 0) {
            return set(root, keys, value, origin);
        }
        int set = 0;
        String key = keys.getLast();
        for (ObjectNode group : groups(keys.subList(0, anywhere), key)) {
            JsonNode old = group.get(key);
            boolean oneOfList = value.isArray() && !old.isArray();
            UserException.require(
                    !oneOfList || value.size() == 1,
                    "%s: %s takes one value for %s; give one",
                    origin,
                    text(group),
                    key);
            group.set(key, NamedGroups.combine(key, old, oneOfList ? value.get(0) : value));
            set++;
        }
        return set;
    }

    /** The groups at a path and anywhere below it that have a key. */
    private List<ObjectNode> groups(List<String> path, String key) {
        List<ObjectNode> found = new ArrayList<>();
        all(path).forEach(node -> collect(node, key, found));
        return found;
    }

    /** What a path leads to, at which * stands for all elements of a list. */
    private List<JsonNode> all(List<String> path) {
        List<JsonNode> nodes = List.of(root);
        for (String key : path) {
            nodes =
                    nodes.stream()
                            .flatMap(node ->
                                    key.equals(ALL)
                                            ? node.valueStream()
                                            : Stream.of(node.at("/" + key)))
                            .toList();
        }
        return nodes;
    }

    private static void collect(JsonNode node, String key, List<ObjectNode> found) {
        if (node instanceof ObjectNode group && group.has(key)) {
            found.add(group);
        }
        node.forEach(child -> collect(child, key, found));
    }

    private static int set(JsonNode node, List<String> keys, JsonNode value, String path) {
        String key = keys.getFirst();
        List<String> rest = keys.subList(1, keys.size());
        return switch (node) {
            case ObjectNode group when rest.isEmpty() -> {
                group.set(key, NamedGroups.combine(key, group.get(key), value));
                yield 1;
            }
            case ObjectNode group -> set(child(group, key, path), rest, value, path);
            case ArrayNode list when !rest.isEmpty() && key.equals(ALL) -> {
                int set = 0;
                for (JsonNode element : list) {
                    set += set(element, rest, value, path);
                }
                yield set;
            }
            case ArrayNode list when !rest.isEmpty() ->
                    set(element(list, key, path), rest, value, path);
            default ->
                    throw new UserException(
                            "%s: there is nothing to set below a value or list".formatted(path));
        };
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
            throw new UserException("%s: there is no such file".formatted(file), failure);
        } catch (CharacterCodingException failure) {
            throw new UserException("%s: it is no text in UTF-8".formatted(file), failure);
        } catch (IOException failure) {
            throw new UserException(
                    "%s: it cannot be read (%s)".formatted(file, failure.getMessage()), failure);
        }
    }
}
