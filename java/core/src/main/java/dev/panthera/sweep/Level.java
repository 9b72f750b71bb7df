package dev.panthera.sweep;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One value of a {@link Factor}, and what it sets in a trial's configuration.
 *
 * @param label what a person reads, and what {@code --only} takes
 * @param values by path, as {@link dev.panthera.train.ConfigDraft#set} takes them, in this order
 * @param available whether trials can have it; a sweep may list what does not exist yet
 */
public record Level(String label, Map<String, Object> values, boolean available) {
    public Level {
        values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }

    /** Whether it sets the mixer, or an option of it. */
    boolean choosesMixer() {
        return values.keySet().stream()
                .anyMatch(path -> path.equals("model.mixer") || path.startsWith("model.mixer."));
    }

    /** A level that sets one value. */
    public static Level of(String label, String path, Object value) {
        return new Level(label, Map.of(path, value), true);
    }
}
