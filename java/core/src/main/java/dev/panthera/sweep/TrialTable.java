package dev.panthera.sweep;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Trials as a table for other programs: a row each, with the same columns for all. */
public final class TrialTable {
    private static final Set<String> RESULTS =
            Set.of(
                    "trial",
                    "status",
                    "causal",
                    "epochs",
                    "seconds",
                    "tokens_per_second",
                    "parameters",
                    "state_bytes",
                    "device",
                    "message",
                    "config");

    private TrialTable() {}

    /** One map from column to number, text or null for each trial; columns in the same order in all. */
    public static List<Map<String, @Nullable Object>> rows(List<StoredTrial> trials) {
        Set<String> factors = new LinkedHashSet<>();
        Set<String> slices = new LinkedHashSet<>();
        for (StoredTrial trial : trials) {
            factors.addAll(trial.factors().keySet());
            if (trial.test() != null) {
                trial.test()
                        .slices()
                        .forEach((slice, values) ->
                                values.keySet().forEach(value -> slices.add(column(slice, value))));
            }
        }
        return trials.stream().map(trial -> row(trial, factors, slices)).toList();
    }

    /** A factor's own name, unless a column has it that tells what came out, such as {@code epochs}. */
    private static String column(String factor) {
        return RESULTS.contains(factor) ? "factor/" + factor : factor;
    }

    private static String column(String slice, int value) {
        return "test/" + slice + "/accuracy-" + value;
    }

    private static Map<String, @Nullable Object> row(
            StoredTrial trial, Set<String> factors, Set<String> slices) {
        var test = trial.test();
        Map<String, @Nullable Object> row = new LinkedHashMap<>();
        row.put("trial", trial.id());
        row.put("status", trial.status().label());
        factors.forEach(factor -> row.put(column(factor), trial.factors().get(factor)));
        row.put("causal", Boolean.toString(trial.causal()));
        row.put("test/accuracy", test == null ? null : test.accuracy());
        row.put("test/loss", test == null ? null : test.loss());
        row.put("valid/accuracy", trial.validationAccuracy());
        row.put("epochs", trial.epochs());
        row.put("seconds", trial.seconds());
        row.put("tokens_per_second", trial.tokensPerSecond());
        row.put("parameters", trial.parameters());
        row.put("state_bytes", trial.stateBytes());
        row.put("device", trial.device());
        row.put("message", trial.message());
        slices.forEach(column -> row.put(column, null));
        if (test != null) {
            test.slices()
                    .forEach((slice, values) ->
                            values.forEach(
                                    (value, accuracy) -> row.put(column(slice, value), accuracy)));
        }
        row.put("config", trial.config());
        return row;
    }
}
