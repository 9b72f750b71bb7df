package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.mixer.Mixers;
import dev.panthera.train.TrainConfig;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * The trials of a sweep.
 *
 * @param trials that can be run, in order: the last factor varies fastest
 * @param unavailable how many cannot, by the level that they lack, for example {@code mixer=h3}
 */
public record Grid(List<Trial> trials, Map<String, Integer> unavailable) {

    /** How many trials cannot be run. */
    public int unavailableTrials() {
        return unavailable.values().stream().mapToInt(Integer::intValue).sum();
    }

    /** Every combination of levels. */
    static Grid of(List<Factor> factors, Function<List<Level>, TrainConfig> config) {
        List<Trial> trials = new ArrayList<>();
        Map<String, Integer> unavailable = new LinkedHashMap<>();
        Map<String, Trial> known = new LinkedHashMap<>();
        for (List<Level> levels : combinations(factors)) {
            Map<String, String> labels = new LinkedHashMap<>();
            for (int i = 0; i < levels.size(); i++) {
                labels.put(factors.get(i).name(), levels.get(i).label());
            }
            String missing = missing(factors, levels);
            if (!missing.isEmpty()) {
                unavailable.merge(missing, 1, Integer::sum);
                continue;
            }
            Trial trial = trial(labels, levels, config);
            Trial twin = known.put(trial.id(), trial);
            UserException.require(
                    twin == null,
                    "two trials are the same: \"%s\" and \"%s\"; vary something that makes a difference",
                    twin == null ? "" : twin.label(),
                    trial.label());
            trials.add(trial);
        }
        return new Grid(List.copyOf(trials), unavailable);
    }

    private static String missing(List<Factor> factors, List<Level> levels) {
        for (int i = 0; i < levels.size(); i++) {
            if (!levels.get(i).available()) {
                return factors.get(i).name() + "=" + levels.get(i).label();
            }
        }
        return "";
    }

    private static Trial trial(
            Map<String, String> labels,
            List<Level> levels,
            Function<List<Level>, TrainConfig> config) {
        try {
            TrainConfig complete = config.apply(levels);
            return new Trial(
                    TrialIdentity.of(complete), marked(labels, levels, complete), complete);
        } catch (UserException impossible) {
            throw new UserException(
                    "%s: %s".formatted(Trial.label(labels), impossible.getMessage()), impossible);
        }
    }

    /** With a mark at the levels that choose a mixer, if it looks ahead. */
    private static Map<String, String> marked(
            Map<String, String> labels, List<Level> levels, TrainConfig config) {
        Map<String, String> marked = new LinkedHashMap<>(labels);
        int i = 0;
        for (String factor : labels.keySet()) {
            if (levels.get(i).choosesMixer()) {
                marked.computeIfPresent(
                        factor, (name, label) -> Mixers.marked(label, config.model().mixer()));
            }
            i++;
        }
        return marked;
    }

    private static List<List<Level>> combinations(List<Factor> factors) {
        List<List<Level>> combinations = List.of(List.of());
        for (Factor factor : factors) {
            List<List<Level>> longer = new ArrayList<>();
            for (List<Level> shorter : combinations) {
                for (Level level : factor.levels()) {
                    List<Level> levels = new ArrayList<>(shorter);
                    levels.add(level);
                    longer.add(levels);
                }
            }
            combinations = longer;
        }
        return combinations;
    }
}
