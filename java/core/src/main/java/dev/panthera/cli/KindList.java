package dev.panthera.cli;

import dev.panthera.NamedConfigs;
import dev.panthera.train.UsualOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Lists mixers or tasks: name, what it is, and its options with their usual values. */
record KindList(Streams streams, int width) {
    private static final String WIDTH_VARIABLE = "COLUMNS";
    private static final int DEFAULT_WIDTH = 80;
    private static final int LEAST_TEXT = 30;

    /** For the width that the shell says the terminal has, if it does. */
    static KindList of(Streams streams) {
        String columns = System.getenv(WIDTH_VARIABLE);
        boolean known = columns != null && columns.matches("\\d{1,4}");
        return new KindList(streams, known ? Integer.parseInt(columns) : DEFAULT_WIDTH);
    }

    /** A line or more for each, names in a column of their own. */
    void print(NamedConfigs<?> kinds) {
        int indent = 2 + kinds.names().stream().mapToInt(String::length).max().orElse(0);
        String margin = " ".repeat(indent);
        for (String name : kinds.names()) {
            List<String> lines = new ArrayList<>(wrapped(kinds.description(name), indent));
            lines.addAll(wrapped(text(UsualOptions.of(kinds, name), " "), indent));
            String start = name + margin.substring(name.length());
            for (String line : lines.isEmpty() ? List.of("") : lines) {
                streams.line("%s", (start + line).stripTrailing());
                start = margin;
            }
        }
    }

    /** An object a line. */
    void printJson(NamedConfigs<?> kinds, String what) {
        for (String name : kinds.names()) {
            streams.line(
                    "%s",
                    new JsonLine()
                            .with(what, name)
                            .with("description", kinds.description(name))
                            .with("options", UsualOptions.of(kinds, name)));
        }
    }

    private static String text(ObjectNode options, String separator) {
        return options.properties().stream()
                .filter(option -> !option.getKey().equals("name"))
                .map(option -> option.getKey() + "=" + text(option.getValue()))
                .collect(Collectors.joining(separator));
    }

    /** A part as its name, with its options in brackets. */
    private static String text(JsonNode value) {
        return switch (value) {
            case ObjectNode part -> {
                String options = text(part, ", ");
                yield part.path("name").asString("")
                        + (options.isEmpty() ? "" : "(" + options + ")");
            }
            case JsonNode list when list.isArray() ->
                    list.valueStream()
                            .map(KindList::text)
                            .collect(Collectors.joining(", ", "[", "]"));
            default -> value.asString();
        };
    }

    private List<String> wrapped(String text, int indent) {
        int room = Math.max(LEAST_TEXT, width - indent);
        List<String> lines = new ArrayList<>();
        var line = new StringBuilder();
        for (String word : text.isEmpty() ? new String[0] : text.split(" ")) {
            if (!line.isEmpty() && line.length() + 1 + word.length() > room) {
                lines.add(line.toString());
                line.setLength(0);
            }
            line.append(line.isEmpty() ? "" : " ").append(word);
        }
        if (!line.isEmpty()) {
            lines.add(line.toString());
        }
        return lines;
    }
}
