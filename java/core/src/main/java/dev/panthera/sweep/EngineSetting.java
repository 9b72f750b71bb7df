package dev.panthera.sweep;

import dev.panthera.UserException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What an engine is made for.
 *
 * @param folder of the sweep, which exists
 * @param experimentJar with the mixers and tasks of the experiment's own; null if there are none
 * @param options of the engine by name, as {@link EngineProvider#options} lists them
 */
public record EngineSetting(
        Path folder, @Nullable Path experimentJar, Map<String, String> options) {

    public EngineSetting {
        folder = folder.toAbsolutePath().normalize();
        experimentJar = experimentJar == null ? null : experimentJar.toAbsolutePath().normalize();
        options = Map.copyOf(options);
    }

    /** The option's text; null if it is not given. */
    public @Nullable String text(String name) {
        return options.get(name);
    }

    /**
     * The option as a whole number.
     *
     * @throws UserException if it is no number of at least {@code least}
     */
    public int count(String name, int least, int otherwise) {
        String text = options.get(name);
        if (text == null) {
            return otherwise;
        }
        int value = text.matches("\\d{1,9}") ? Integer.parseInt(text) : -1;
        UserException.require(
                value >= least,
                "engine option %s=%s: it must be a whole number from %d; for example %s=%d",
                name,
                text,
                least,
                name,
                Math.max(least, otherwise));
        return value;
    }

    /**
     * The option as {@code true} or {@code false}.
     *
     * @throws UserException if it is neither
     */
    public boolean flag(String name, boolean otherwise) {
        String text = options.getOrDefault(name, Boolean.toString(otherwise));
        UserException.require(
                text.equals("true") || text.equals("false"),
                "engine option %s=%s: it must be true or false",
                name,
                text);
        return text.equals("true");
    }

    /** The options whose names start so, without that start, in alphabetical order. */
    public Map<String, String> startingWith(String prefix) {
        var found = new TreeMap<String, String>();
        options.forEach((name, value) -> {
            if (name.startsWith(prefix)) {
                found.put(name.substring(prefix.length()), value);
            }
        });
        return found;
    }

    /**
     * Refuses options that a provider does not list.
     *
     * @throws UserException that names the first of them and what is possible
     */
    public void requireKnown(EngineProvider provider) {
        List<String> known = provider.options().keySet().stream().sorted().toList();
        options.keySet().stream()
                .sorted()
                .filter(name -> known.stream().noneMatch(pattern -> matches(pattern, name)))
                .findFirst()
                .ifPresent(unknown -> {
                    throw new UserException(
                            "engine option %s: engine %s has no such option; choose from %s"
                                    .formatted(
                                            unknown,
                                            provider.name(),
                                            known.stream().collect(Collectors.joining(", "))));
                });
    }

    private static boolean matches(String pattern, String name) {
        return pattern.endsWith("*")
                ? name.startsWith(pattern.substring(0, pattern.length() - 1))
                        && name.length() >= pattern.length()
                : name.equals(pattern);
    }
}
