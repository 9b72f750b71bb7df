package dev.panthera.report;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.util.RawValue;

/** What the pages of this package have in common: scripts, styles, the policy that admits them, and the parts of figures. */
final class PageFrame {
    private PageFrame() {}

    /**
     * A whole page.
     *
     * @param content of the page: its header and main element
     * @param charts that are drawn where {@link #figure} has made room
     * @param tables by name, of which the page's script fills the elements
     */
    static String page(String title, String content, List<Chart> charts, ObjectNode tables) {
        String style = Resources.text("report.css");
        List<String> scripts =
                Stream.of(
                                "vega/vega.min.js",
                                "vega/vega-lite.min.js",
                                "vega/vega-embed.min.js",
                                "report.js")
                        .map(PageFrame::script)
                        .toList();
        var page = new StringBuilder(1 << 20);
        line(page, "<!DOCTYPE html>");
        line(page, "<html lang=\"en\">");
        line(page, "<head>");
        line(page, "<meta charset=\"utf-8\">");
        line(
                page,
                "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">"
                        .formatted(policy(style, scripts)));
        line(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        line(page, "<title>" + Html.escape(title) + "</title>");
        line(page, "<style>" + style + "</style>");
        line(page, "</head>");
        line(page, "<body>");
        line(
                page,
                "<noscript><p class=\"notice\">The figures and sortable tables need JavaScript, which the page brings along.</p></noscript>");
        page.append(content);
        line(
                page,
                "<footer>Written by Panthera. Charts by Vega, Vega-Lite and vega-embed (BSD-3-Clause). This file needs no network.</footer>");
        line(
                page,
                "<script type=\"application/json\" id=\"report-data\">"
                        + Html.dataBlock(data(charts, tables))
                        + "</script>");
        scripts.forEach(script -> line(page, "<script>" + script + "</script>"));
        line(page, "</body>");
        line(page, "</html>");
        return page.toString();
    }

    /** Without the pointer to a source map, which would not be found. */
    private static String script(String resource) {
        return Resources.text(resource).replaceAll("(?m)^//# sourceMappingURL=.*$", "");
    }

    private static String policy(String style, List<String> scripts) {
        String hashes = scripts.stream().map(Html::contentHash).collect(Collectors.joining(" "));
        return "default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'"
                .formatted(hashes, Html.contentHash(style));
    }

    private static ObjectNode data(List<Chart> charts, ObjectNode tables) {
        ObjectNode data = Json.object("{}");
        ObjectNode specifications = data.putObject("charts");
        for (Chart chart : charts) {
            chart.specification()
                    .ifPresent(
                            text -> specifications.putRawValue(chart.name(), new RawValue(text)));
        }
        data.set("tables", tables);
        return data;
    }

    /** A chart that has a specification, with its caption and notes. */
    static String figure(Chart chart, int number) {
        String name = chart.name();
        var figure = new StringBuilder();
        line(figure, "<section id=\"%s\">".formatted(name));
        line(figure, "<h2>Figure %d. %s</h2>".formatted(number, Html.escape(chart.title())));
        line(figure, "<figure>");
        line(
                figure,
                "<div class=\"chart\" id=\"chart-%s\" role=\"img\" aria-label=\"%s\"></div>"
                        .formatted(name, Html.escape(chart.alternative())));
        line(figure, "<figcaption>" + Html.escape(chart.caption()) + "</figcaption>");
        line(figure, "</figure>");
        figure.append(notes(chart.notes()));
        line(
                figure,
                "<p class=\"downloads\"><button type=\"button\" data-chart=\"%s\" data-as=\"svg\">Save as SVG</button> <button type=\"button\" data-chart=\"%s\" data-as=\"json\">Save the Vega-Lite specification</button></p>"
                        .formatted(name, name));
        line(figure, "</section>");
        return figure.toString();
    }

    /** A list of sentences; nothing if there are none. */
    static String notes(List<String> notes) {
        return notes.isEmpty()
                ? ""
                : notes.stream()
                        .map(note -> "<li>" + Html.escape(note) + "</li>\n")
                        .collect(Collectors.joining("", "<ul class=\"notes\">\n", "</ul>\n"));
    }

    /** Charts that have nothing to draw, and why; nothing if there are none. */
    static String leftOut(List<Chart> missing) {
        return missing.isEmpty()
                ? ""
                : missing.stream()
                        .map(chart ->
                                "<dt>%s</dt><dd>%s</dd>\n"
                                        .formatted(
                                                Html.escape(chart.title()),
                                                Html.escape(String.join(" ", chart.notes()))))
                        .collect(
                                Collectors.joining(
                                        "",
                                        "<section id=\"left-out\"><h2>Figures left out</h2><dl>\n",
                                        "</dl></section>\n"));
    }

    /** What a reader needs to trust and repeat the results, a text by label; nothing if there is none. */
    static String provenance(Map<String, String> provenance) {
        return provenance.isEmpty()
                ? ""
                : provenance.entrySet().stream()
                        .map(entry ->
                                "<div><dt>%s</dt><dd>%s</dd></div>\n"
                                        .formatted(
                                                Html.escape(entry.getKey()),
                                                Html.escape(entry.getValue())))
                        .collect(Collectors.joining("", "<dl class=\"provenance\">\n", "</dl>\n"));
    }

    private static void line(StringBuilder target, String text) {
        target.append(text).append('\n');
    }
}
