package dev.panthera.parity;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Keyword arguments of the original, as JSON. Each reader takes an option out of the set of those not yet understood;
 * {@link #finish} makes the case unknown if any is left, so that no option is ever ignored in silence.
 */
final class Options {

    private static final JsonMapper JSON = new JsonMapper();

    private final String owner;
    private final JsonNode values;
    private final Set<String> unread;

    private Options(String owner, JsonNode values) {
        this.owner = owner;
        this.values = values;
        this.unread = new TreeSet<>(values.propertyNames());
    }

    /**
     * @param owner what the options belong to, for messages
     * @param json an object; empty text means no options
     * @throws IllegalArgumentException if it is not an object
     */
    static Options parse(String owner, String json) {
        return new Options(owner, object(owner, json.isBlank() ? "{}" : json));
    }

    private static JsonNode object(String owner, String json) {
        try {
            return requireObject(owner, JSON.readTree(json));
        } catch (JacksonException malformed) {
            throw new IllegalArgumentException(
                    owner + " is not JSON: " + malformed.getOriginalMessage(), malformed);
        }
    }

    private static JsonNode requireObject(String owner, JsonNode node) {
        if (!node.isObject()) {
            throw new IllegalArgumentException(owner + " is not a JSON object");
        }
        return node;
    }

    boolean has(String name) {
        return values.hasNonNull(name);
    }

    int integer(String name, int fallback) {
        return has(name) ? integer(name) : absent(name, fallback);
    }

    int integer(String name) {
        double value = number(name);
        if (value != Math.rint(value) || Math.abs(value) > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(
                    "%s: %s is %s, expected an integer".formatted(owner, name, value));
        }
        return (int) value;
    }

    /** One number, or a list of them. */
    List<Integer> integers(String name, int fallback) {
        if (!has(name)) {
            return List.of(fallback);
        }
        if (!values.get(name).isArray()) {
            return List.of(integer(name));
        }
        return Arrays.stream(numbers(name)).mapToObj(number -> (int) number).toList();
    }

    double number(String name, double fallback) {
        return has(name) ? number(name) : absent(name, fallback);
    }

    double number(String name) {
        JsonNode value = take(name);
        if (!value.isNumber()) {
            throw wrongType(name, "a number", value);
        }
        return value.doubleValue();
    }

    boolean flag(String name, boolean fallback) {
        if (!has(name)) {
            return absent(name, fallback);
        }
        JsonNode value = take(name);
        if (!value.isBoolean()) {
            throw wrongType(name, "true or false", value);
        }
        return value.booleanValue();
    }

    String text(String name, String fallback) {
        return has(name) ? text(name) : absent(name, fallback);
    }

    String text(String name) {
        JsonNode value = take(name);
        if (!value.isString()) {
            throw wrongType(name, "text", value);
        }
        return value.stringValue();
    }

    /** Whether an option that may also be of another type is this text; if so, it has been read. */
    boolean isText(String name, String text) {
        return has(name) && values.get(name).isString() && text(name).equals(text);
    }

    /** The options in the object called {@code name}; none if it is absent. */
    Options nested(String name) {
        if (!has(name)) {
            return absent(name, parse(owner + "." + name, ""));
        }
        return new Options(owner + "." + name, requireObject(owner + "." + name, take(name)));
    }

    /** The options in each object of the list called {@code name}. */
    List<Options> list(String name) {
        List<Options> elements = new ArrayList<>();
        for (JsonNode element : take(name)) {
            String elementOwner = owner + "." + name + "[" + elements.size() + "]";
            elements.add(new Options(elementOwner, requireObject(elementOwner, element)));
        }
        return elements;
    }

    /** The numbers of the list called {@code name}. */
    double[] numbers(String name) {
        JsonNode list = take(name);
        double[] numbers = new double[list.size()];
        for (int i = 0; i < numbers.length; i++) {
            if (!list.get(i).isNumber()) {
                throw wrongType(name, "a list of numbers", list);
            }
            numbers[i] = list.get(i).doubleValue();
        }
        return numbers;
    }

    /** Passes over options that cannot change the recorded numbers. */
    Options ignoring(String... names) {
        for (String name : names) {
            unread.remove(name);
        }
        return this;
    }

    /** @throws UnknownCaseException if an option was not read */
    void finish() {
        if (!unread.isEmpty()) {
            throw new UnknownCaseException(
                    "%s: option %s is not supported".formatted(owner, String.join(", ", unread)));
        }
    }

    private <T> T absent(String name, T fallback) {
        unread.remove(name);
        return fallback;
    }

    private JsonNode take(String name) {
        unread.remove(name);
        if (!has(name)) {
            throw new IllegalArgumentException("%s: %s is missing".formatted(owner, name));
        }
        return values.get(name);
    }

    private IllegalArgumentException wrongType(String name, String expected, JsonNode value) {
        return new IllegalArgumentException(
                "%s: %s is %s, expected %s".formatted(owner, name, value, expected));
    }
}
