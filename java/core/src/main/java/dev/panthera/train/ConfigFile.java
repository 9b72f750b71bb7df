package dev.panthera.train;

import com.fasterxml.jackson.annotation.JsonTypeInfo;
import dev.panthera.UserException;
import dev.panthera.mixer.FeatureMapConfig;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.SelectionConfig;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.task.GapLaw;
import dev.panthera.task.TaskConfig;
import java.lang.ref.WeakReference;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.EnumNamingStrategies;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.annotation.JsonTypeIdResolver;
import tools.jackson.databind.cfg.EnumFeature;
import tools.jackson.databind.exc.InvalidTypeIdException;
import tools.jackson.databind.exc.MismatchedInputException;
import tools.jackson.databind.exc.UnrecognizedPropertyException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * A whole configuration as JSON: keys are the records' components in snake_case, enum constants are words with dashes; mixers and
 * tasks are groups whose key {@code name} says which one. Nothing may be missing and nothing may be unknown; see
 * {@link ConfigDraft} for files that state only what differs.
 */
public final class ConfigFile {
    static final JsonMapper JSON =
            JsonMapper.builder()
                    .addMixIn(MixerConfig.class, Named.class)
                    .addMixIn(StateMixerConfig.class, Named.class)
                    .addMixIn(FeatureMapConfig.class, Named.class)
                    .addMixIn(SelectionConfig.class, Named.class)
                    .addMixIn(TaskConfig.class, Named.class)
                    .addMixIn(GapLaw.class, Named.class)
                    .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
                    .enumNamingStrategy(EnumNamingStrategies.KEBAB_CASE)
                    .enable(SerializationFeature.INDENT_OUTPUT)
                    .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                    .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
                    .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
                    .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
                    .enable(EnumFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
                    .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
                    .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .disable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
                    .build();

    /** For values that the program wrote itself, some of whose parts may be null. */
    private static final JsonMapper LINES =
            JSON.rebuild()
                    .disable(SerializationFeature.INDENT_OUTPUT)
                    .disable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
                    .build();

    private static volatile Readers readers =
            new Readers(new WeakReference<>(ConfigFile.class.getClassLoader()), JSON, LINES);

    /** The key that says which kind of mixer or task a group of keys describes. */
    static final String KIND = "name";

    @JsonTypeInfo(use = JsonTypeInfo.Id.CUSTOM, property = KIND)
    @JsonTypeIdResolver(KindOfConfig.class)
    private interface Named {}

    private ConfigFile() {}

    /** The configuration as text; equal configurations give equal texts. */
    public static String toJson(TrainConfig config) {
        return JSON.writeValueAsString(config);
    }

    /** Any record of this project as JSON on one line; configurations in it are written as by {@link #toJson}. */
    public static String toJsonLine(Object value) {
        return LINES.writeValueAsString(value);
    }

    /** What {@link #toJsonLine} wrote on several lines, for a person. */
    public static String indented(String json) {
        return JSON.writeValueAsString(parse(json));
    }

    /**
     * Reads what {@link #toJsonLine} wrote.
     *
     * @throws UserException as {@link #fromJson(String)}
     */
    public static <T> T fromJson(String json, Class<T> type) {
        return convert(readers().lenient(), parse(json), type);
    }

    /**
     * Reads what {@link #toJson} wrote, also before there were some keys that have a default.
     *
     * @throws UserException if it is no JSON, a key is missing or unknown, or the configuration is impossible
     */
    public static TrainConfig fromJson(String json) {
        JsonNode tree = parse(json);
        LaterKeys.fillIn(tree);
        return toConfig(tree);
    }

    /** What decides about a run, on one line: {@link #toJsonLine} without keys that came later and have their default. */
    public static String toIdentity(TrainConfig config) {
        JsonNode tree = LINES.valueToTree(config);
        LaterKeys.leaveOut(tree);
        return LINES.writeValueAsString(tree);
    }

    private static JsonNode parse(String json) {
        try {
            return JSON.readTree(json);
        } catch (JacksonException failure) {
            throw new UserException(
                    "the configuration is no JSON: %s".formatted(failure.getOriginalMessage()),
                    failure);
        }
    }

    /** A mixer or task as a tree that names its kind. */
    static <T> ObjectNode tree(Object value, Class<T> type) {
        return (ObjectNode) JSON.readTree(JSON.writerFor(type).writeValueAsString(value));
    }

    /** The configuration of a tree; an error names the key by its dotted path. */
    static TrainConfig toConfig(JsonNode tree) {
        return convert(readers().strict(), tree, TrainConfig.class);
    }

    /** The data of a tree of these alone; an error names the key by its dotted path. */
    static DataOptions toData(JsonNode tree) {
        return convert(readers().strict(), tree, DataOptions.class);
    }

    /**
     * The mappers for the thread's context class loader. They remember the classes that names stand for, and an experiment that is
     * compiled anew has others under the same names.
     */
    private static Readers readers() {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        Readers known = readers;
        if (known.loader().refersTo(loader)) {
            return known;
        }
        var fresh =
                new Readers(
                        new WeakReference<>(loader),
                        JSON.rebuild().build(),
                        LINES.rebuild().build());
        readers = fresh;
        return fresh;
    }

    private record Readers(
            WeakReference<ClassLoader> loader, JsonMapper strict, JsonMapper lenient) {}

    private static <T> T convert(JsonMapper mapper, JsonNode tree, Class<T> type) {
        try {
            return mapper.treeToValue(tree, type);
        } catch (JacksonException failure) {
            if (failure.getCause() instanceof UserException impossible) {
                throw impossible;
            }
            throw new UserException(describe(failure, tree), failure);
        }
    }

    private static String describe(JacksonException failure, JsonNode tree) {
        String key = dotted(failure.getPath());
        return switch (failure) {
            case UnrecognizedPropertyException unknown ->
                    "%s: there is no such key; possible here: %s"
                            .formatted(
                                    key,
                                    unknown.getKnownPropertyIds().stream()
                                            .map(String::valueOf)
                                            .sorted()
                                            .collect(Collectors.joining(", ")));
            case InvalidTypeIdException noKind when at(tree, key).isObject() ->
                    "%s: it needs a key %s that says which one is meant".formatted(key, KIND);
            case InvalidTypeIdException noGroup ->
                    describe(key, at(tree, key), noGroup.getBaseType().getRawClass());
            case MismatchedInputException wrong
                    when !key.isEmpty() && wrong.getTargetType() != null ->
                    describe(key, at(tree, key), wrong.getTargetType());
            case InputCoercionException outOfRange ->
                    describe(key, at(tree, key), outOfRange.getTargetType());
            default ->
                    failure.getOriginalMessage()
                            .lines()
                            .findFirst()
                            .orElse("the configuration cannot be read");
        };
    }

    private static JsonNode at(JsonNode tree, String key) {
        return tree.at("/" + key.replace('.', '/'));
    }

    private static String describe(String key, JsonNode value, Class<?> type) {
        return value.isMissingNode()
                ? "%s: it is missing".formatted(key)
                : "%s: %s is not possible; it must be %s".formatted(key, value, expected(type));
    }

    private static String expected(Class<?> type) {
        if (type.isEnum()) {
            return Arrays.stream(type.getEnumConstants())
                    .map(constant -> JSON.valueToTree(constant).asString())
                    .collect(Collectors.joining(" or "));
        } else if (type == int.class || type == Integer.class) {
            return "a whole number below 2^31";
        } else if (type == long.class) {
            return "a whole number";
        } else if (type == double.class) {
            return "a number";
        } else if (type == boolean.class) {
            return "true or false";
        } else if (List.class.isAssignableFrom(type)) {
            return "a list";
        }
        if (type.isInterface()) {
            return "a name or a group of keys with one";
        }
        return type == String.class ? "a text" : "a group of keys";
    }

    private static String dotted(List<JacksonException.Reference> path) {
        return path.stream()
                .map(step ->
                        step.getPropertyName() == null
                                ? "" + step.getIndex()
                                : step.getPropertyName())
                .collect(Collectors.joining("."));
    }
}
