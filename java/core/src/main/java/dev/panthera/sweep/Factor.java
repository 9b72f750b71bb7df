package dev.panthera.sweep;

import dev.panthera.UserException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a sweep varies. A sweep has a trial for each combination of its factors' levels.
 *
 * @param name of the factor, such as {@code d_model}, {@code lr}, {@code mixer}, {@code task}, {@code seed}
 * @param levels at least one, with labels that differ
 */
public record Factor(String name, List<Level> levels) {
    public Factor {
        levels = List.copyOf(levels);
        UserException.require(
                !levels.isEmpty(), "%s: it has no values, so there are no trials; give one", name);
        var labels = new HashSet<String>();
        for (Level level : levels) {
            UserException.require(
                    labels.add(level.label()),
                    "%s: %s is there twice, which would make the same trials twice; leave one out",
                    name,
                    level.label());
        }
    }

    /** Every value in turn at one path of the configuration, for example {@code Factor.of("data.batch", 32, 64)}. */
    public static Factor of(String path, Object... values) {
        return Paths.named(path).factor(List.of(values));
    }

    /** The levels with these labels alone. */
    Factor only(List<String> labels) {
        for (String label : labels) {
            UserException.require(
                    levels.stream().anyMatch(level -> level.label().equals(label)),
                    "--only %s=%s: the sweep has no such value; choose from %s",
                    name,
                    label,
                    String.join(", ", levels.stream().map(Level::label).toList()));
        }
        return new Factor(
                name, levels.stream().filter(level -> labels.contains(level.label())).toList());
    }

    /** A name of a factor and the paths that each of its values is set at. */
    record Paths(String name, List<String> paths) {
        private static final List<Paths> SHORT =
                List.of(
                        new Paths("lr", List.of("learning_rate")),
                        new Paths("d_model", List.of("model.d_model")),
                        new Paths("layers", List.of("model.layers")),
                        new Paths("mixer", List.of("model.mixer")),
                        new Paths("seed", List.of("seed", "data.seed")),
                        new Paths("batch", List.of("data.batch", "data.test_batch")));

        /** By the short name, or by the path itself. */
        static Paths named(String nameOrPath) {
            return SHORT.stream()
                    .filter(known ->
                            known.name.equals(nameOrPath)
                                    || known.paths.equals(List.of(nameOrPath)))
                    .findFirst()
                    .orElseGet(() -> new Paths(nameOrPath, List.of(nameOrPath)));
        }

        Factor factor(List<?> values) {
            List<Level> levels = new ArrayList<>();
            values.forEach(value -> levels.add(level(label(value), value)));
            return new Factor(name, levels);
        }

        Level level(String label, Object value) {
            Map<String, Object> set = new LinkedHashMap<>();
            paths.forEach(path -> set.put(path, value));
            return new Level(label, set, true);
        }
    }

    /** A value as a label: three digits of a fraction, which tell apart all learning rates that a grid has. */
    static String label(Object value) {
        return switch (value) {
            case Double number -> number(number);
            default -> String.valueOf(value);
        };
    }

    private static String number(double value) {
        if (value == Math.rint(value) && Math.abs(value) < 1e6) {
            return Long.toString((long) value);
        }
        var rounded = new BigDecimal(value).round(new MathContext(3));
        return rounded.stripTrailingZeros().toString().replace("E", "e");
    }
}
