package dev.panthera.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.util.RawValue;

/**
 * A sweep as one HTML page that needs nothing else: scripts, styles and data lie in it, and its content security policy
 * admits these scripts alone, by their hashes, and no connection.
 */
public final class ReportPage {
    private static final int FAILURES_SHOWN = 20;

    private final SweepSummary summary;
    private final List<Chart> charts;
    private final Selection selection;
    private final StringBuilder page = new StringBuilder(1 << 20);

    private ReportPage(SweepSummary summary, List<Chart> charts) {
        this.summary = summary;
        this.charts = charts;
        selection = Selection.of(summary);
    }

    /** The page; the same text for the same summary. */
    public static String html(SweepSummary summary) {
        return html(summary, Charts.of(summary));
    }

    static String html(SweepSummary summary, List<Chart> charts) {
        return new ReportPage(summary, charts).build();
    }

    private String build() {
        String style = Resources.text("report.css");
        List<String> scripts =
                Stream.of(
                                "vega/vega.min.js",
                                "vega/vega-lite.min.js",
                                "vega/vega-embed.min.js",
                                "report.js")
                        .map(ReportPage::script)
                        .toList();
        line("<!DOCTYPE html>");
        line("<html lang=\"en\">");
        line("<head>");
        line("<meta charset=\"utf-8\">");
        line(
                "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">"
                        .formatted(policy(style, scripts)));
        line("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        line("<title>" + Html.escape(summary.name()) + " - sweep report</title>");
        line("<style>" + style + "</style>");
        line("</head>");
        line("<body>");
        header();
        line("<main>");
        figures();
        leftOut();
        failures();
        tables();
        line("</main>");
        footer();
        line(
                "<script type=\"application/json\" id=\"report-data\">"
                        + Html.dataBlock(data())
                        + "</script>");
        scripts.forEach(script -> line("<script>" + script + "</script>"));
        line("</body>");
        line("</html>");
        return page.toString();
    }

    /** Without the pointer to a source map, which would not be found. */
    private static String script(String resource) {
        return Resources.text(resource).replaceAll("(?m)^//# sourceMappingURL=.*$", "");
    }

    private static String policy(String style, List<String> scripts) {
        String hashes =
                scripts.stream().map(Html::contentHash).collect(Collectors.joining(" "));
        return "default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'"
                .formatted(hashes, Html.contentHash(style));
    }

    private void line(String text) {
        page.append(text).append('\n');
    }

    private void header() {
        line("<header>");
        line("<p class=\"kind\">Sweep report</p>");
        line("<h1>" + Html.escape(summary.name()) + "</h1>");
        if (!summary.description().isBlank()) {
            line("<p class=\"lead\">" + Html.escape(summary.description()) + "</p>");
        }
        line("<ul class=\"counts\">");
        countOf(summary.trials().size(), "trials");
        for (TrialStatus status :
                List.of(
                        TrialStatus.DONE,
                        TrialStatus.FAILED,
                        TrialStatus.RUNNING,
                        TrialStatus.WAITING)) {
            countOf(summary.count(status), status.label());
        }
        line("</ul>");
        line(
                "<p class=\"protocol\"><strong>Protocol: %s.</strong> %s</p>"
                        .formatted(
                                summary.protocol().name().toLowerCase(Locale.ROOT),
                                Html.escape(summary.protocol().sentence())));
        incomplete();
        provenance();
        line("</header>");
    }

    private void countOf(long number, String what) {
        String marked = number == 0 ? "none" : what;
        line("<li class=\"%s\"><strong>%d</strong> %s</li>".formatted(marked, number, what));
    }

    private void incomplete() {
        long unfinished = summary.trials().size() - summary.count(TrialStatus.DONE);
        if (summary.trials().isEmpty()) {
            line("<p class=\"notice\">The sweep has no trials: there is nothing to report yet.</p>");
        } else if (unfinished > 0) {
            line(
                    "<p class=\"notice\">The figures rest on the %s alone. Left out, not counted as zero: %s; the table of trials lists them.</p>"
                            .formatted(
                                    Phrases.count(summary.count(TrialStatus.DONE), "finished trial"),
                                    unfinishedCounts()));
            notes(selection.reservations());
        }
    }

    private String unfinishedCounts() {
        List<String> parts = new ArrayList<>();
        for (TrialStatus status :
                List.of(TrialStatus.FAILED, TrialStatus.RUNNING, TrialStatus.WAITING)) {
            if (summary.count(status) > 0) {
                parts.add(summary.count(status) + " " + status.label());
            }
        }
        return String.join(", ", parts);
    }

    private void provenance() {
        if (summary.provenance().isEmpty()) {
            return;
        }
        line("<dl class=\"provenance\">");
        summary.provenance()
                .forEach(
                        (label, text) ->
                                line(
                                        "<div><dt>%s</dt><dd>%s</dd></div>"
                                                .formatted(Html.escape(label), Html.escape(text))));
        line("</dl>");
    }

    private void figures() {
        line("<noscript><p class=\"notice\">The figures and tables need JavaScript, which the page brings along.</p></noscript>");
        int number = 0;
        for (Chart chart : charts) {
            if (chart.specification().isPresent()) {
                figure(chart, ++number);
            }
        }
    }

    private void figure(Chart chart, int number) {
        String name = chart.name();
        line("<section id=\"%s\">".formatted(name));
        line("<h2>Figure %d. %s</h2>".formatted(number, Html.escape(chart.title())));
        line("<figure>");
        line(
                "<div class=\"chart\" id=\"chart-%s\" role=\"img\" aria-label=\"%s\"></div>"
                        .formatted(name, Html.escape(chart.alternative())));
        line("<figcaption>" + Html.escape(chart.caption()) + "</figcaption>");
        line("</figure>");
        notes(chart.notes());
        line(
                "<p class=\"downloads\"><button type=\"button\" data-chart=\"%s\" data-as=\"svg\">Save as SVG</button> <button type=\"button\" data-chart=\"%s\" data-as=\"json\">Save the Vega-Lite specification</button></p>"
                        .formatted(name, name));
        line("</section>");
    }

    private void notes(List<String> notes) {
        if (notes.isEmpty()) {
            return;
        }
        line("<ul class=\"notes\">");
        notes.forEach(note -> line("<li>" + Html.escape(note) + "</li>"));
        line("</ul>");
    }

    private void leftOut() {
        List<Chart> missing =
                charts.stream().filter(chart -> chart.specification().isEmpty()).toList();
        if (missing.isEmpty()) {
            return;
        }
        line("<section id=\"left-out\"><h2>Figures left out</h2><dl>");
        for (Chart chart : missing) {
            line(
                    "<dt>%s</dt><dd>%s</dd>"
                            .formatted(
                                    Html.escape(chart.title()),
                                    Html.escape(String.join(" ", chart.notes()))));
        }
        line("</dl></section>");
    }

    private void failures() {
        List<ReportTrial> failed =
                summary.trials().stream()
                        .filter(trial -> trial.status() == TrialStatus.FAILED)
                        .toList();
        if (failed.isEmpty()) {
            return;
        }
        line("<section id=\"failures\"><h2>Failed trials</h2><dl>");
        for (ReportTrial trial : failed.subList(0, Math.min(FAILURES_SHOWN, failed.size()))) {
            String what =
                    Setting.of(trial).label()
                            + ", learning rate "
                            + Phrases.rate(trial.learningRate())
                            + ", seed "
                            + trial.seed();
            String message = trial.message() == null ? "no message" : trial.message();
            line(
                    "<dt><code>%s</code> %s</dt><dd>%s</dd>"
                            .formatted(
                                    Html.escape(trial.id()),
                                    Html.escape(what),
                                    Html.escape(message)));
        }
        line("</dl>");
        if (failed.size() > FAILURES_SHOWN) {
            line(
                    "<p>%d more are in the table of trials.</p>"
                            .formatted(failed.size() - FAILURES_SHOWN));
        }
        line("</section>");
    }

    private void tables() {
        line("<section id=\"selected\"><h2>Table 1. Selected settings</h2>");
        line(
                "<p>%s Accuracies over the seeds of that learning rate.</p>"
                        .formatted(Html.escape(summary.protocol().sentence())));
        line("<div class=\"table\" data-table=\"selected\"></div></section>");
        line("<section id=\"trials\"><h2>Table 2. All trials</h2>");
        line(
                "<p>Choose a column to sort by it; choose a trial to see its configuration and, if it failed, why.</p>");
        line("<div class=\"table\" data-table=\"trials\"></div></section>");
    }

    private void footer() {
        line(
                "<footer>Written by Panthera. Charts by Vega, Vega-Lite and vega-embed (BSD-3-Clause). This file needs no network.</footer>");
    }

    private ObjectNode data() {
        ObjectNode data = Json.object("{}");
        ObjectNode specifications = data.putObject("charts");
        for (Chart chart : charts) {
            chart.specification()
                    .ifPresent(
                            text -> specifications.putRawValue(chart.name(), new RawValue(text)));
        }
        ObjectNode tables = data.putObject("tables");
        tables.set("selected", TableData.selected(summary, selection));
        tables.set("trials", TableData.trials(summary));
        return data;
    }
}
