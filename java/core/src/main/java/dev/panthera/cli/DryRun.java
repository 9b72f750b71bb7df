package dev.panthera.cli;

import dev.panthera.sweep.Cost;
import dev.panthera.sweep.CostModel;
import dev.panthera.sweep.Grid;
import dev.panthera.sweep.Sweep;
import dev.panthera.sweep.Trial;
import dev.panthera.train.ConfigDraft;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Says what a sweep would do: its trials, those of equal cost together, with sizes and times. */
final class DryRun {
    private final Streams streams;
    private final SweepOptions options;

    DryRun(Streams streams, SweepOptions options) {
        this.streams = streams;
        this.options = options;
    }

    void print(Sweep sweep, Grid grid, List<Trial> trials) {
        var model = new CostModel(options.oneTrial());
        if (!options.json) {
            streams.line("%s: %d trials", sweep.name(), trials.size());
            streams.line(
                    "%7s %12s %12s %9s %11s %11s %11s",
                    "trials",
                    "parameters",
                    "state bytes",
                    "memory",
                    "a step",
                    "an epoch",
                    "a trial");
        }
        double seconds = 0;
        for (List<Trial> group : groups(trials).values()) {
            Cost cost = model.of(group.getFirst().config());
            seconds += group.size() * cost.seconds();
            if (options.json) {
                printJson(group, cost);
            } else {
                printText(group, cost);
            }
            streams.out().flush();
        }
        if (!options.json) {
            printEnd(grid, trials, seconds);
        }
    }

    private void printText(List<Trial> group, Cost cost) {
        streams.line(
                "%7d %12s %12s %6d MB %11s %11s %11s  %s",
                group.size(),
                Text.grouped(cost.parameters()),
                Text.grouped(cost.stateBytes()),
                cost.bytes() >> 20,
                step(cost.stepSeconds()),
                Text.duration(cost.epochSeconds()),
                Text.duration(cost.seconds()),
                common(group).entrySet().stream()
                        .map(factor -> factor.getKey() + "=" + factor.getValue())
                        .collect(Collectors.joining(" ")));
    }

    private void printJson(List<Trial> group, Cost cost) {
        streams.line(
                "%s",
                new JsonLine()
                        .with("trials", group.size())
                        .with("factors", common(group))
                        .with("parameters", cost.parameters())
                        .with("state_bytes", cost.stateBytes())
                        .with("memory_bytes", cost.bytes())
                        .with("step_seconds", cost.stepSeconds())
                        .with("epoch_seconds", cost.epochSeconds())
                        .with("trial_seconds", cost.seconds()));
    }

    private void printEnd(Grid grid, List<Trial> trials, double seconds) {
        grid.unavailable()
                .forEach((level, count) -> streams.line("%7d not available: %s", count, level));
        int slots =
                Math.max(1, Math.min(trials.size(), options.localEngine(trials).slots().size()));
        streams.line(
                "%s for one trial after the other on one slot, %s with %d at once, if none stops early%s",
                Text.duration(seconds),
                Text.duration(seconds / slots),
                slots,
                grid.unavailable().isEmpty()
                        ? ""
                        : Text.format("; %d more are not available", grid.unavailableTrials()));
    }

    private static String step(double seconds) {
        return seconds < 1 ? Text.format("%.1f ms", 1e3 * seconds) : Text.duration(seconds);
    }

    /** Trials that differ in learning rate and seeds alone cost the same. */
    private static Map<Object, List<Trial>> groups(List<Trial> trials) {
        Map<Object, List<Trial>> groups = new LinkedHashMap<>();
        for (Trial trial : trials) {
            Object cost =
                    ConfigDraft.of(trial.config())
                            .set("learning_rate", 1)
                            .set("seed", 0)
                            .set("data.seed", 0)
                            .toConfig();
            groups.computeIfAbsent(cost, key -> new ArrayList<>()).add(trial);
        }
        return groups;
    }

    /** The factors that all trials of a group agree on. */
    private static Map<String, String> common(List<Trial> group) {
        Map<String, String> common = new LinkedHashMap<>(group.getFirst().factors());
        common.entrySet()
                .removeIf(factor ->
                        group.stream()
                                .anyMatch(trial ->
                                        !factor.getValue()
                                                .equals(trial.factors().get(factor.getKey()))));
        return common;
    }
}
