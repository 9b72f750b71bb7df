package dev.panthera.report;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * The lines of a sweep's charts: one per mixer, or several where the sweep varies more than mixer, width, length,
 * pairs, learning rate and seed. A mixer's lines have its shape, and its colour in different strengths.
 */
final class Palette {
    private final Map<String, MixerStyle> styles = new HashMap<>();
    private final Set<String> varying;
    private final Map<String, Series> lines = new LinkedHashMap<>();
    private final Map<String, Series> mixers = new LinkedHashMap<>();

    private Palette(Collection<Setting> settings) {
        assignStyles(settings);
        varying = varyingFactors(settings);
        Map<String, Set<String>> labels = new TreeMap<>(byRank());
        for (Setting setting : settings) {
            labels.computeIfAbsent(setting.mixer(), key -> new LinkedHashSet<>())
                    .add(label(setting));
        }
        labels.forEach(this::addSeries);
    }

    static Palette of(Collection<Setting> settings) {
        return new Palette(settings);
    }

    private void assignStyles(Collection<Setting> settings) {
        int unknown = 0;
        for (String mixer :
                new TreeSet<>(settings.stream().map(Setting::mixer).collect(Collectors.toSet()))) {
            MixerStyle style = MixerStyle.known(mixer);
            styles.put(mixer, style == null ? MixerStyle.spare(unknown++) : style);
        }
    }

    private Comparator<String> byRank() {
        return Comparator.<String>comparingInt(mixer -> styles.get(mixer).rank())
                .thenComparing(Comparator.naturalOrder());
    }

    /** Factors with more than one label among the settings of any mixer. */
    private static Set<String> varyingFactors(Collection<Setting> settings) {
        Map<String, Map<String, Set<String>>> seen = new LinkedHashMap<>();
        for (Setting setting : settings) {
            setting.variants()
                    .forEach((name, label) ->
                            seen.computeIfAbsent(name, key -> new HashMap<>())
                                    .computeIfAbsent(setting.mixer(), key -> new TreeSet<>())
                                    .add(label));
        }
        Set<String> varying = new LinkedHashSet<>();
        seen.forEach((name, byMixer) -> {
            if (byMixer.values().stream().anyMatch(labels -> labels.size() > 1)) {
                varying.add(name);
            }
        });
        return varying;
    }

    private String label(Setting setting) {
        List<String> parts = new ArrayList<>();
        for (String name : varying) {
            String label = setting.otherFactors().get(name);
            if (label != null) {
                parts.add(name + " " + label);
            }
        }
        return parts.isEmpty()
                ? setting.mixer()
                : setting.mixer() + " (" + String.join(", ", parts) + ")";
    }

    private void addSeries(String mixer, Set<String> labels) {
        MixerStyle style = styles.get(mixer);
        mixers.put(mixer, new Series(mixer, mixer, style.colour(), style.shape(), style.dash()));
        int index = 0;
        for (String label : labels) {
            String colour = shade(style.colour(), index, labels.size());
            lines.put(label, new Series(label, mixer, colour, style.shape(), style.dash()));
            index++;
        }
    }

    /** The colour itself first, then ever closer to a light grey, but never closer than two thirds. */
    private static String shade(String colour, int index, int count) {
        return paler(colour, count == 1 ? 0 : 0.66 * index / (count - 1));
    }

    /** A colour mixed with a light grey. */
    static String paler(String colour, double share) {
        var text = new StringBuilder("#");
        for (int channel = 0; channel < 3; channel++) {
            int value = Integer.parseInt(colour.substring(1 + 2 * channel, 3 + 2 * channel), 16);
            text.append("%02X".formatted(Math.round(value + share * (0xD8 - value))));
        }
        return text.toString();
    }

    /** The line that a setting belongs to. */
    Series line(Setting setting) {
        return lines.get(label(setting));
    }

    /** The line of a mixer as a whole, whatever else varies. */
    Series mixer(String mixer) {
        return mixers.get(mixer);
    }

    /** All lines, in the order of legends. */
    List<Series> lines() {
        return List.copyOf(lines.values());
    }

    /** One line per mixer, in the order of legends. */
    List<Series> mixers() {
        return List.copyOf(mixers.values());
    }
}
