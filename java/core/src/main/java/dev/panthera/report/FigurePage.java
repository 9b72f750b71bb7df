package dev.panthera.report;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Results as one HTML page that needs nothing else: a table that can be read without scripts, then figures, then further tables.
 *
 * @param kind of page, such as {@code Comparison of mixers}
 * @param title of the page
 * @param lead what the page tells, in a sentence or two
 * @param notices what the reader must know before anything else, a sentence each
 * @param settings what the reader needs to trust and repeat the results: a text by label, in order
 * @param first the table above the figures
 * @param charts the figures, in order
 * @param further tables below the figures
 */
public record FigurePage(
        String kind,
        String title,
        String lead,
        List<String> notices,
        Map<String, String> settings,
        Table first,
        List<Chart> charts,
        List<Table> further) {
    public FigurePage {
        notices = List.copyOf(notices);
        settings = Collections.unmodifiableMap(new LinkedHashMap<>(settings));
        charts = List.copyOf(charts);
        further = List.copyOf(further);
    }

    /**
     * A table of few rows.
     *
     * @param name of its place in the page
     * @param title above it
     * @param text that says what its columns mean
     * @param columns in order; those with {@code true} hold words, the others numbers
     * @param rows as many cells each as there are columns
     */
    public record Table(
            String name,
            String title,
            String text,
            Map<String, Boolean> columns,
            List<List<String>> rows) {
        public Table {
            columns = Collections.unmodifiableMap(new LinkedHashMap<>(columns));
            rows = rows.stream().map(List::copyOf).toList();
        }
    }

    /** The page; the same text for the same content. */
    public String html() {
        var page = new StringBuilder(1 << 14);
        page.append("<header>\n<p class=\"kind\">").append(Html.escape(kind)).append("</p>\n");
        page.append("<h1>").append(Html.escape(title)).append("</h1>\n");
        page.append("<p class=\"lead\">").append(Html.escape(lead)).append("</p>\n");
        for (String notice : notices) {
            page.append("<p class=\"notice\">").append(Html.escape(notice)).append("</p>\n");
        }
        page.append(PageFrame.provenance(settings)).append("</header>\n<main>\n");
        page.append(table(first, 1));
        int figures = 0;
        List<Chart> missing = new ArrayList<>();
        for (Chart chart : charts) {
            if (chart.specification().isPresent()) {
                page.append(PageFrame.figure(chart, ++figures));
            } else {
                missing.add(chart);
            }
        }
        page.append(PageFrame.leftOut(missing));
        int tables = 1;
        for (Table table : further) {
            page.append(table(table, ++tables));
        }
        page.append("</main>\n");
        return PageFrame.page(title, page.toString(), charts, Json.object("{}"));
    }

    private static String table(Table table, int number) {
        var text = new StringBuilder();
        text.append("<section id=\"%s\">\n".formatted(Html.escape(table.name())));
        text.append("<h2>Table %d. %s</h2>\n".formatted(number, Html.escape(table.title())));
        text.append("<p>").append(Html.escape(table.text())).append("</p>\n");
        text.append("<div class=\"scroll\"><table class=\"plain\">\n<thead><tr>");
        table.columns()
                .forEach((column, words) ->
                        text.append(
                                "<th scope=\"col\" class=\"%s\">%s</th>"
                                        .formatted(kind(words), Html.escape(column))));
        text.append("</tr></thead>\n<tbody>\n");
        List<Boolean> words = List.copyOf(table.columns().values());
        for (List<String> row : table.rows()) {
            text.append("<tr>");
            for (int i = 0; i < row.size(); i++) {
                text.append(
                        "<td class=\"%s\">%s</td>"
                                .formatted(kind(words.get(i)), Html.escape(row.get(i))));
            }
            text.append("</tr>\n");
        }
        return text.append("</tbody>\n</table></div>\n</section>\n").toString();
    }

    private static String kind(boolean words) {
        return words ? "text" : "number";
    }

    /**
     * Writes the page and its charts, as {@link Report#write} does.
     *
     * @param name of the page's file
     * @param folder created if missing
     * @throws dev.panthera.UserException if the folder cannot be written
     */
    public Report.Written write(String name, Path folder, Report.Options options) {
        return Report.write(name, html(), charts, folder, options);
    }
}
