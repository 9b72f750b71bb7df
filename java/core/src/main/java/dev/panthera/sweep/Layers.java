package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A level of the factor {@code mixer}: a number of blocks with one sequence mixer.
 *
 * @param label what it is called
 * @param count number of blocks
 * @param mixer mixes over time; null if it does not exist yet
 * @param positions whether the model learns positions; attention cannot tell them apart without, others can
 */
public record Layers(String label, int count, @Nullable MixerConfig mixer, boolean positions) {

    /** Blocks of a mixer, called by its name. */
    public static Layers of(int count, MixerConfig mixer) {
        return new Layers(Mixers.SEQUENCE.label(mixer), count, mixer, mixer.needsPositions());
    }

    /** A mixer that an experiment should have, but that does not exist yet: its trials are listed as such, and left out. */
    public static Layers missing(String label) {
        return new Layers(label, 1, null, false);
    }

    public Layers {
        UserException.require(
                count >= 1, "%s: %d layers: at least one layer is needed; try 2", label, count);
    }

    /** The same under another name. */
    public Layers named(String newLabel) {
        return new Layers(newLabel, count, mixer, positions);
    }

    /** The same with or without learned positions. */
    public Layers positions(boolean learned) {
        return new Layers(label, count, mixer, learned);
    }

    Level level() {
        if (mixer == null) {
            return new Level(label, Map.of(), false);
        }
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("model.mixer", mixer);
        values.put("model.layers", count);
        values.put("model.positions", positions);
        return new Level(label, values, true);
    }
}
