package dev.panthera;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Kinds of configurations that have a name, each with usual options. A kind that is not listed, such as one that an experiment
 * defines, goes by the binary name of its class.
 *
 * @param <T> what all of them are
 */
public final class NamedConfigs<T> {
    private final String what;
    private final Class<T> type;
    private final Map<String, T> usual = new LinkedHashMap<>();
    private final Map<String, String> descriptions = new HashMap<>();

    /**
     * @param what they are, for messages
     * @param type that all of them have
     */
    public NamedConfigs(String what, Class<T> type) {
        this.what = what;
        this.type = type;
    }

    /** Adds a kind with its usual options and no description; returns this. */
    public NamedConfigs<T> with(String name, T options) {
        return with(name, "", options);
    }

    /**
     * Adds a kind; returns this.
     *
     * @param description what it is, in a line for people who choose
     * @param options its usual options
     */
    public NamedConfigs<T> with(String name, String description, T options) {
        descriptions.put(name, description);
        if (usual.put(name, options) != null) {
            throw new IllegalArgumentException("there are two of the name " + name);
        }
        return this;
    }

    /** What all of them are. */
    public Class<T> type() {
        return type;
    }

    /** All names, in order. */
    public List<String> names() {
        return List.copyOf(usual.keySet());
    }

    /**
     * The usual options of a kind.
     *
     * @throws UserException if no kind is listed under the name
     */
    public T named(String name) {
        T found = usual.get(name);
        UserException.require(found != null, "%s", unknown(name));
        return found;
    }

    /**
     * What the listed kind of a name is, in a line.
     *
     * @throws UserException if no kind is listed under the name
     */
    public String description(String name) {
        named(name);
        return descriptions.getOrDefault(name, "");
    }

    /** Whether a kind is listed under the name. */
    public boolean contains(String name) {
        return usual.containsKey(name);
    }

    /** By what name files know a configuration's kind. */
    public String id(T config) {
        String listed = listed(config);
        return listed == null ? config.getClass().getName() : listed;
    }

    /** By what name a person knows a configuration's kind: {@code my-mixer} for the class {@code MyMixer.Config}. */
    public String label(T config) {
        String listed = listed(config);
        if (listed != null) {
            return listed;
        }
        Class<?> kind = config.getClass();
        Class<?> outer = kind.getDeclaringClass();
        boolean named = outer == null || !kind.getSimpleName().equals("Config");
        String name = (named ? kind : outer).getSimpleName();
        return name.replaceAll("(?<=[a-z0-9])(?=[A-Z])", "-").toLowerCase(Locale.ROOT);
    }

    private @Nullable String listed(T config) {
        for (var entry : usual.entrySet()) {
            if (entry.getValue().getClass() == config.getClass()) {
                return entry.getKey();
            }
        }
        return null;
    }

    /**
     * The class that files mean by a name; one that is not listed is looked for as that of an experiment, in the thread's context
     * class loader.
     *
     * @throws UserException if there is none, or it is no record of this type
     */
    public Class<? extends T> kind(String id) {
        T listed = usual.get(id);
        if (listed != null) {
            return type.cast(listed).getClass().asSubclass(type);
        }
        try {
            var loader = Thread.currentThread().getContextClassLoader();
            Class<?> found = Class.forName(id, false, loader);
            UserException.require(
                    found.isRecord() && type.isAssignableFrom(found),
                    "--%s %s: the class is no record that implements %s; name one that is, or one of %s",
                    option(),
                    id,
                    type.getSimpleName(),
                    String.join(", ", usual.keySet()));
            return found.asSubclass(type);
        } catch (ClassNotFoundException | LinkageError absent) {
            throw new UserException(unknown(id), absent);
        }
    }

    private String unknown(String name) {
        return "--%s %s: there is no such %s; choose from %s"
                .formatted(option(), name, what, String.join(", ", usual.keySet()));
    }

    private String option() {
        return what.replace(' ', '-');
    }
}
