package dev.panthera.report;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.zip.Deflater;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The tables of a page as JSON: columns, and rows as arrays. The page's script shows them. */
final class TableData {
    /** Trials whose configurations are compressed together: they differ in little. */
    private static final int CHUNK = 200;

    private TableData() {}

    /** All trials; after the columns' values a row has its message. The configurations lie apart, compressed. */
    static ObjectNode trials(SweepSummary summary) {
        ObjectNode table = Json.object("{}");
        Set<String> factors = factors(summary);
        ArrayNode columns = table.putArray("columns");
        column(columns, "trial", "text");
        column(columns, "status", "text");
        settingColumns(columns, factors);
        column(columns, "learning rate", "rate");
        column(columns, "seed", "integer");
        column(columns, "parameters", "integer");
        column(columns, "state bytes", "integer");
        column(columns, "validation accuracy", "accuracy");
        column(columns, "test accuracy", "accuracy");
        column(columns, "epochs", "integer");
        column(columns, "seconds", "amount");
        column(columns, "tokens/s", "amount");
        ArrayNode rows = table.putArray("rows");
        for (ReportTrial trial : summary.trials()) {
            ArrayNode row = rows.addArray();
            row.add(trial.id()).add(trial.status().label());
            addSetting(row, Setting.of(trial), factors);
            row.add(trial.learningRate()).add(trial.seed());
            row.add(trial.parameters()).add(trial.stateBytes());
            add(row, trial.validationAccuracy());
            add(row, trial.testAccuracy());
            row.add(trial.epochs().size());
            add(row, positive(trial.seconds()));
            add(row, positive(trial.tokensPerSecond()));
            row.add(trial.message() == null ? "" : trial.message());
        }
        configurations(table, summary.trials());
        return table;
    }

    /** The selected settings with the spread over their seeds. */
    static ObjectNode selected(SweepSummary summary, Selection selection) {
        ObjectNode table = Json.object("{}");
        Set<String> factors = factors(summary);
        ArrayNode columns = table.putArray("columns");
        settingColumns(columns, factors);
        column(columns, "learning rate", "rate");
        column(columns, "seeds", "integer");
        column(columns, "validation mean", "accuracy");
        column(columns, "test mean", "accuracy");
        column(columns, "test min", "accuracy");
        column(columns, "test max", "accuracy");
        column(columns, "test st. dev.", "accuracy");
        column(columns, "state bytes", "integer");
        ArrayNode rows = table.putArray("rows");
        for (Selected selected : selection.settings()) {
            ArrayNode row = rows.addArray();
            addSetting(row, selected.setting(), factors);
            row.add(selected.learningRate()).add(selected.trials().size());
            addStatistic(row, selected.validation(), Statistics::mean);
            addStatistic(row, selected.test(), Statistics::mean);
            addStatistic(row, selected.test(), Statistics::min);
            addStatistic(row, selected.test(), Statistics::max);
            boolean several = selected.test().filter(test -> test.count() > 1).isPresent();
            addStatistic(
                    row,
                    several ? selected.test() : Optional.empty(),
                    Statistics::standardDeviation);
            row.add(selected.trials().getFirst().stateBytes());
        }
        return table;
    }

    private static Set<String> factors(SweepSummary summary) {
        Set<String> names = new LinkedHashSet<>();
        summary.trials().forEach(trial -> names.addAll(trial.otherFactors().keySet()));
        return names;
    }

    private static void settingColumns(ArrayNode columns, Set<String> factors) {
        column(columns, "mixer", "text");
        column(columns, "d_model", "integer");
        column(columns, "length", "integer");
        column(columns, "pairs", "integer");
        factors.forEach(name -> column(columns, name, "text"));
    }

    private static void addSetting(ArrayNode row, Setting setting, Set<String> factors) {
        row.add(setting.mixer()).add(setting.dModel()).add(setting.length()).add(setting.pairs());
        factors.forEach(name -> row.add(setting.otherFactors().getOrDefault(name, "")));
    }

    private static void column(ArrayNode columns, String title, String kind) {
        columns.addObject().put("title", title).put("kind", kind);
    }

    private static void addStatistic(
            ArrayNode row, Optional<Statistics> statistics, ToDoubleFunction<Statistics> value) {
        add(row, statistics.map(value::applyAsDouble).orElse(null));
    }

    private static void add(ArrayNode row, @Nullable Double value) {
        if (value == null) {
            row.addNull();
        } else {
            row.add(value.doubleValue());
        }
    }

    private static @Nullable Double positive(double value) {
        return value > 0 && Double.isFinite(value) ? value : null;
    }

    private static void configurations(ObjectNode table, List<ReportTrial> trials) {
        table.put("chunk", CHUNK);
        ArrayNode chunks = table.putArray("configurations");
        for (int first = 0; first < trials.size(); first += CHUNK) {
            List<String> texts = new ArrayList<>();
            trials.subList(first, Math.min(first + CHUNK, trials.size()))
                    .forEach(trial -> texts.add(trial.configJson()));
            chunks.add(compressed(Json.text(texts)));
        }
    }

    /** In zlib's format, in base 64. */
    private static String compressed(String text) {
        try (var deflater = new Deflater(Deflater.BEST_COMPRESSION)) {
            deflater.setInput(text.getBytes(StandardCharsets.UTF_8));
            deflater.finish();
            var bytes = new ByteArrayOutputStream();
            byte[] buffer = new byte[8192];
            while (!deflater.finished()) {
                bytes.write(buffer, 0, deflater.deflate(buffer));
            }
            return Base64.getEncoder().encodeToString(bytes.toByteArray());
        }
    }
}
