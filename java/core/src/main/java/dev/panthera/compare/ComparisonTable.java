package dev.panthera.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/**
 * A comparison as a table for a person: a row per mixer, best first.
 *
 * @param columns by title, whether a column holds words rather than numbers
 * @param rows as many cells each as there are columns; {@value #UNKNOWN} where there is no number
 */
public record ComparisonTable(Map<String, Boolean> columns, List<List<String>> rows) {
    private static final String UNKNOWN = "-";

    /** The table of results: accuracy, size, and the steps' speed and memory at the shortest and the longest length. */
    public static ComparisonTable of(MixerComparison comparison) {
        List<Integer> lengths = comparison.lengths();
        Map<String, Boolean> columns = new LinkedHashMap<>();
        columns.put("mixer", true);
        columns.put("accuracy", false);
        columns.put("lr", false);
        columns.put("epochs", false);
        columns.put("parameters", false);
        columns.put("state", false);
        if (lengths.size() > 1) {
            columns.put("tokens/s, L=" + lengths.getFirst(), false);
        }
        if (!lengths.isEmpty()) {
            columns.put("tokens/s, L=" + lengths.getLast(), false);
            columns.put("memory, L=" + lengths.getLast(), false);
        }
        return new ComparisonTable(
                columns,
                comparison.results().stream().map(result -> row(comparison, result)).toList());
    }

    private static List<String> row(MixerComparison comparison, MixerResult result) {
        boolean trained = result.testAccuracy() != null;
        List<String> row = new ArrayList<>();
        row.add(result.mixer());
        row.add(trained ? Amounts.percent(result.testAccuracy()) : "failed");
        row.add(trained ? Amounts.rate(result.learningRate()) : UNKNOWN);
        row.add(trained ? Integer.toString(result.epochs()) : UNKNOWN);
        row.add(trained ? Amounts.grouped(result.parameters()) : UNKNOWN);
        row.add(trained ? Amounts.bytes(result.stateBytes()) : UNKNOWN);
        List<Integer> lengths = comparison.lengths();
        if (lengths.size() > 1) {
            Optional<StepCost> atFirst = comparison.cost(result.mixer(), lengths.getFirst());
            row.add(cell(atFirst, ComparisonTable::speed));
        }
        if (!lengths.isEmpty()) {
            Optional<StepCost> atLast = comparison.cost(result.mixer(), lengths.getLast());
            row.add(cell(atLast, ComparisonTable::speed));
            row.add(cell(atLast, cost -> Amounts.bytes(cost.deviceBytes())));
        }
        return row;
    }

    private static String speed(StepCost cost) {
        return Amounts.perSecond(cost.tokensPerSecond());
    }

    private static String cell(Optional<StepCost> cost, Function<StepCost, String> text) {
        return cost.map(text).orElse(UNKNOWN);
    }

    /** What the steps cost: a row per length and mixer. */
    static ComparisonTable steps(MixerComparison comparison) {
        Map<String, Boolean> columns = new LinkedHashMap<>();
        columns.put("length", false);
        columns.put("rows", false);
        columns.put("mixer", true);
        columns.put("step, median", false);
        columns.put("quartiles", false);
        columns.put("tokens/s", false);
        columns.put("memory", false);
        columns.put("state", false);
        return new ComparisonTable(
                columns,
                comparison.costs().stream()
                        .filter(StepCost::measured)
                        .map(ComparisonTable::stepRow)
                        .toList());
    }

    private static List<String> stepRow(StepCost cost) {
        return List.of(
                Integer.toString(cost.length()),
                Integer.toString(cost.rows()),
                cost.mixer(),
                Amounts.milliseconds(cost.medianSeconds()),
                Amounts.milliseconds(cost.lowSeconds())
                        + " to "
                        + Amounts.milliseconds(cost.highSeconds()),
                speed(cost),
                Amounts.bytes(cost.deviceBytes()),
                Amounts.bytes(cost.stateBytes()));
    }
}
