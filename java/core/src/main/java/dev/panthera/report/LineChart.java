package dev.panthera.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Small multiples of lines: a panel per task, or a grid of panels, and in each a line per mixer. Every chart of the
 * report is one.
 *
 * @param alternative text for readers who do not see the chart
 * @param rows labels of panel rows from top to bottom; empty to wrap panels
 * @param columns labels of panel columns, or of all panels if there are no rows
 * @param legend the lines in order
 * @param spread how the range over the seeds is drawn
 */
record LineChart(
        String alternative,
        List<String> rows,
        List<String> columns,
        ObjectNode x,
        ObjectNode y,
        List<Series> legend,
        List<Mark> marks,
        Spread spread) {

    /** How the range over the seeds is drawn. */
    enum Spread {
        BARS,
        BAND
    }

    private static final String SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json";
    private static final int SPACING = 24;
    private static final String CONFIG =
            """
            {"font": "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif",
             "axis": {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": "#222",
                      "titleColor": "#111", "gridColor": "#e4e4e4", "domainColor": "#666", "tickColor": "#666",
                      "labelFlush": false, "labelOverlap": "greedy", "labelSeparation": 4, "titlePadding": 6},
             "header": {"labelFontSize": 12, "labelColor": "#111", "labelFontWeight": "bold", "labelPadding": 5,
                        "title": null},
             "legend": {"labelFontSize": 12, "labelColor": "#111", "labelLimit": 300, "symbolSize": 80,
                        "symbolStrokeWidth": 1.5, "columnPadding": 18, "rowPadding": 4, "title": null,
                        "orient": "bottom", "offset": 14},
             "view": {"stroke": "#bbb"}, "facet": {"spacing": %d}}
            """;

    /** In Vega-Lite, as JSON. */
    String specification() {
        ObjectNode chart = Json.object("{}");
        chart.put("$schema", SCHEMA);
        chart.put("description", alternative);
        chart.put("background", "white");
        chart.put("padding", 8);
        chart.set("config", Json.tree(CONFIG.formatted(SPACING)));
        chart.set("data", data());
        facet(chart);
        ObjectNode panel = chart.putObject("spec");
        panel.put("width", panelWidth()).put("height", panelHeight());
        encoding(panel.putObject("encoding"));
        layers(panel.putArray("layer"));
        return Json.text(chart);
    }

    private ObjectNode data() {
        ObjectNode data = Json.object("{}");
        ArrayNode values = data.putArray("values");
        for (Mark mark : marks) {
            ObjectNode row = values.addObject();
            row.put("row", mark.row()).put("panel", mark.column());
            row.put("line", mark.series().label()).put("x", mark.x()).put("y", rounded(mark.y()));
            if (mark.low() < mark.high()) {
                row.put("low", rounded(mark.low())).put("high", rounded(mark.high()));
            }
            row.put("source", mark.published() ? "published" : "sweep");
            row.put("marker", mark.marker()).put("detail", mark.detail());
        }
        return data;
    }

    /** Six digits: more than a picture shows, and short. */
    private static double rounded(double value) {
        return Double.parseDouble(String.format(Locale.ROOT, "%.6g", value));
    }

    private void facet(ObjectNode chart) {
        ObjectNode facet = chart.putObject("facet");
        if (rows.isEmpty()) {
            chart.put("columns", perRow());
            header(facet, "panel", columns);
            return;
        }
        header(facet.putObject("row"), "row", rows);
        header(facet.putObject("column"), "panel", columns);
    }

    private static void header(ObjectNode facet, String field, List<String> order) {
        facet.put("field", field).put("type", "nominal").set("sort", Json.array(order));
        facet.putNull("title");
    }

    private int perRow() {
        return columns.size() <= 4 ? columns.size() : columns.size() <= 6 ? 3 : 4;
    }

    private int panelWidth() {
        int across = rows.isEmpty() ? perRow() : columns.size();
        return switch (across) {
            case 1 -> 460;
            case 2 -> 360;
            case 3 -> 265;
            case 4 -> 205;
            default -> 150;
        };
    }

    /** As many as fit below the panels, at about 7 units per character. */
    private int legendColumns() {
        int across = rows.isEmpty() ? perRow() : columns.size();
        int width = across * panelWidth() + (across - 1) * SPACING;
        int longest = shown().stream().mapToInt(series -> series.label().length()).max().orElse(0);
        return Math.clamp((width + 60) / (7L * longest + 40), 1, Math.max(1, shown().size()));
    }

    private int panelHeight() {
        int across = rows.isEmpty() ? perRow() : columns.size();
        if (!rows.isEmpty() && rows.size() > 1) {
            return across == 1 ? 220 : 140;
        }
        return across == 1 ? 280 : across == 2 ? 250 : 200;
    }

    private void encoding(ObjectNode encoding) {
        encoding.set("x", x.deepCopy().put("field", "x"));
        encoding.set("y", y.deepCopy().put("field", "y"));
        ObjectNode colour = styled(Series::colour);
        colour.putObject("legend").put("columns", legendColumns()).put("symbolOpacity", 1);
        encoding.set("color", colour);
        ArrayNode tooltip = encoding.putArray("tooltip");
        tooltip.add(Json.tree("{\"field\": \"line\", \"type\": \"nominal\", \"title\": \"line\"}"));
        tooltip.add(tooltip("x", x));
        tooltip.add(tooltip("y", y));
        tooltip.add(Json.tree("{\"field\": \"detail\", \"type\": \"nominal\", \"title\": \" \"}"));
    }

    private static ObjectNode tooltip(String field, ObjectNode axis) {
        return Json.object("{\"type\": \"quantitative\", \"format\": \",.4~f\"}")
                .put("field", field)
                .put("title", axis.get("title").asString());
    }

    /** A channel by line, with one value per line that is in the data. */
    private ObjectNode styled(Function<Series, String> look) {
        ObjectNode channel =
                Json.object("{\"field\": \"line\", \"type\": \"nominal\", \"title\": null}");
        ObjectNode scale = channel.putObject("scale");
        ArrayNode domain = scale.putArray("domain");
        ArrayNode range = scale.putArray("range");
        for (Series series : shown()) {
            domain.add(series.label());
            range.add(look.apply(series));
        }
        return channel;
    }

    private List<Series> shown() {
        Set<Series> present = new LinkedHashSet<>();
        marks.forEach(mark -> present.add(mark.series()));
        return legend.stream().filter(present::contains).toList();
    }

    private void layers(ArrayNode layers) {
        boolean spreads = marks.stream().anyMatch(mark -> mark.low() < mark.high());
        if (spreads && spread == Spread.BAND) {
            layers.add(spreadLayer("{\"type\": \"area\", \"opacity\": 0.15, \"tooltip\": null}"));
        }
        if (marks.stream().anyMatch(Mark::published)) {
            layers.add(
                    layer(
                            """
                            {"type": "line", "strokeDash": [3, 3], "opacity": 0.55, "strokeWidth": 1.3}
                            """,
                            "published"));
            layers.add(
                    shaped(
                            layer(
                                    """
                                    {"type": "point", "filled": false, "opacity": 0.55, "size": 28, "strokeWidth": 1}
                                    """,
                                    "published")));
        }
        lines(layers);
        if (spreads && spread == Spread.BARS) {
            layers.add(spreadLayer("{\"type\": \"rule\", \"strokeWidth\": 1.3, \"opacity\": 0.9}"));
        }
        ObjectNode points =
                layer(
                        """
                        {"type": "point", "filled": true, "opacity": 1, "size": 60,
                         "stroke": "#222", "strokeWidth": 0.6}
                        """,
                        "sweep");
        points.withArray("transform")
                .add(Json.tree("{\"filter\": {\"field\": \"marker\", \"equal\": true}}"));
        layers.add(shaped(points));
    }

    /** A layer per dash: as a channel of its own it would reach the legend, where it frays the symbols. */
    private void lines(ArrayNode layers) {
        Map<List<Integer>, List<String>> byDash = new LinkedHashMap<>();
        for (Series series : shown()) {
            byDash.computeIfAbsent(series.dash(), key -> new ArrayList<>()).add(series.label());
        }
        byDash.forEach((dash, labels) -> {
            ObjectNode line = layer("{\"type\": \"line\", \"strokeWidth\": 2}", "sweep");
            if (!dash.equals(MixerStyle.SOLID)) {
                line.withObject("mark").set("strokeDash", Json.array(dash));
            }
            line.withArray("transform")
                    .addObject()
                    .putObject("filter")
                    .put("field", "line")
                    .set("oneOf", Json.array(labels));
            layers.add(line);
        });
    }

    private ObjectNode layer(String mark, String source) {
        ObjectNode layer = Json.object("{}");
        layer.putArray("transform")
                .addObject()
                .putObject("filter")
                .put("field", "source")
                .put("equal", source);
        layer.set("mark", Json.tree(mark));
        return layer;
    }

    private ObjectNode spreadLayer(String mark) {
        ObjectNode layer = layer(mark, "sweep");
        layer.withArray("transform")
                .add(Json.tree("{\"filter\": {\"field\": \"low\", \"valid\": true}}"));
        ObjectNode encoding = layer.putObject("encoding");
        encoding.set("y", y.deepCopy().put("field", "low"));
        encoding.putObject("y2").put("field", "high");
        return layer;
    }

    private ObjectNode shaped(ObjectNode layer) {
        layer.withObject("encoding").set("shape", styled(Series::shape));
        return layer;
    }
}
