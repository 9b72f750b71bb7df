package dev.panthera.sweep;

import dev.panthera.UserException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

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
                    "%s: %s is there twice; leave one out, or give them labels that differ",
                    name,
                    level.label());
        }
    }

    /** Every value in turn at one path of the configuration, for example {@code Factor.of("data.batch", 32, 64)}. */
    public static Factor of(String path, Object... values) {
        return Paths.named(path).factor(List.of(values));
    }

    /** The levels with these labels alone; numbers may be written in another way, such as {@code 1e-3} for {@code 0.001}. */
    Factor only(List<String> labels) {
        Set<String> wanted = new HashSet<>();
        for (String label : labels) {
            wanted.add(
                    level(label)
                            .or(() -> level(usual(label)))
                            .orElseThrow(() ->
                                    new UserException(
                                            "--only %s=%s: the sweep has no such value; choose from %s"
                                                    .formatted(name, label, labels())))
                            .label());
        }
        return new Factor(
                name, levels.stream().filter(level -> wanted.contains(level.label())).toList());
    }

    /** The level of that label. */
    Optional<Level> level(String label) {
        return levels.stream().filter(level -> level.label().equals(label)).findFirst();
    }

    private String labels() {
        return String.join(", ", levels.stream().map(Level::label).toList());
    }

    private static String usual(String label) {
        try {
            return number(Double.parseDouble(label));
        } catch (NumberFormatException word) {
            return label;
        }
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
            Map<String, Long> labels =
                    values.stream()
                            .distinct()
                            .collect(Collectors.groupingBy(Factor::label, Collectors.counting()));
            List<Level> levels = new ArrayList<>();
            for (Object value : values) {
                String label = label(value);
                levels.add(level(labels.get(label) == 1 ? label : String.valueOf(value), value));
            }
            return new Factor(name, levels);
        }

        Level level(String label, Object value) {
            Map<String, Object> set = new LinkedHashMap<>();
            paths.forEach(path -> set.put(path, value));
            return new Level(label, set, true);
        }
    }

    /** A value as a label: of a fraction, three digits. */
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
        return rounded.stripTrailingZeros().toString().replace("E+", "e").replace("E", "e");
    }
}
