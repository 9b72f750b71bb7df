package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.train.ConfigDraft;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What the command line changes of a sweep. */
public final class GridOptions {
    private GridOptions() {}

    /** Applies a scale, if there is one, and then each {@code KEY=VALUE[,VALUE...]}. */
    public static void apply(Sweep sweep, String scale, List<String> settings) {
        if (!scale.isEmpty()) {
            sweep.scaled(scale);
        }
        for (String setting : settings) {
            apply(sweep, setting);
        }
    }

    private static void apply(Sweep sweep, String setting) {
        int equals = setting.indexOf('=');
        UserException.require(
                equals > 0 && equals < setting.length() - 1,
                "--set %s: it must be a key and one or more values, for example lr=1e-3,1e-2",
                setting);
        var paths = Factor.Paths.named(setting.substring(0, equals));
        List<Object> values =
                ConfigDraft.yamlList(setting.substring(equals + 1), "--set " + setting);
        Optional<Factor> varied =
                sweep.factors().stream()
                        .filter(factor -> factor.name().equals(paths.name()))
                        .findFirst();
        if (varied.isPresent()) {
            sweep.over(replaced(varied.get(), paths.factor(values)));
        } else if (values.size() > 1) {
            sweep.over(paths.factor(values));
        } else {
            paths.paths().forEach(path -> sweep.override(path, values.getFirst()));
        }
    }

    /** New levels; one whose name the sweep knows, such as that of a mixer with its layers, is what the sweep means by it. */
    private static Factor replaced(Factor old, Factor factor) {
        return new Factor(
                factor.name(),
                factor.levels().stream()
                        .map(level ->
                                level.values().values().stream().allMatch(String.class::isInstance)
                                        ? old.level(level.label()).orElse(level)
                                        : level)
                        .toList());
    }

    /**
     * The trials that match all of {@code FACTOR=LABEL[,LABEL...]}.
     *
     * @throws UserException if the sweep has no such factor or label
     */
    public static List<Trial> select(Sweep sweep, List<Trial> trials, List<String> only) {
        Map<String, List<String>> wanted = new LinkedHashMap<>();
        for (String condition : only) {
            int equals = condition.indexOf('=');
            UserException.require(
                    equals > 0,
                    "--only %s: it must be a factor and one or more of its values, for example mixer=attention,hyena",
                    condition);
            String name = Factor.Paths.named(condition.substring(0, equals)).name();
            Factor factor = factor(sweep, name);
            List<String> labels = List.of(condition.substring(equals + 1).split(",", -1));
            wanted.computeIfAbsent(name, key -> new ArrayList<>())
                    .addAll(factor.only(labels).levels().stream().map(Level::label).toList());
        }
        return trials.stream()
                .filter(trial ->
                        wanted.entrySet().stream()
                                .allMatch(condition ->
                                        condition
                                                .getValue()
                                                .contains(trial.factors().get(condition.getKey()))))
                .toList();
    }

    private static Factor factor(Sweep sweep, String name) {
        List<Factor> factors = sweep.factors();
        return factors.stream()
                .filter(factor -> factor.name().equals(name))
                .findFirst()
                .orElseThrow(() ->
                        new UserException(
                                "--only %s=...: the sweep varies no %s; choose from %s"
                                        .formatted(
                                                name,
                                                name,
                                                String.join(
                                                        ", ",
                                                        factors.stream()
                                                                .map(Factor::name)
                                                                .toList()))));
    }
}
