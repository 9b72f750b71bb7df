package dev.panthera.report;

import dev.panthera.sweep.TrialStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.node.ObjectNode;

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
        header();
        line("<main>");
        figures();
        page.append(
                PageFrame.leftOut(
                        charts.stream().filter(chart -> chart.specification().isEmpty()).toList()));
        failures();
        tables();
        line("</main>");
        return PageFrame.page(
                summary.name() + " - sweep report", page.toString(), charts, tableData());
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
        page.append(PageFrame.provenance(summary.provenance()));
        line("</header>");
    }

    private void countOf(long number, String what) {
        String marked = number == 0 ? "none" : what;
        line("<li class=\"%s\"><strong>%d</strong> %s</li>".formatted(marked, number, what));
    }

    private void incomplete() {
        long unfinished = summary.trials().size() - summary.count(TrialStatus.DONE);
        if (summary.trials().isEmpty()) {
            line(
                    "<p class=\"notice\">The sweep has no trials: there is nothing to report yet.</p>");
        } else if (unfinished > 0) {
            String text =
                    "The figures rest on the %s alone. Left out, not counted as zero: %s; the table lists them.";
            line(
                    "<p class=\"notice\">%s</p>"
                            .formatted(
                                    text.formatted(
                                            Phrases.count(
                                                    summary.count(TrialStatus.DONE),
                                                    "finished trial"),
                                            unfinishedCounts())));
            page.append(PageFrame.notes(selection.reservations()));
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

    private void figures() {
        int number = 0;
        for (Chart chart : charts) {
            if (chart.specification().isPresent()) {
                page.append(PageFrame.figure(chart, ++number));
            }
        }
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
                "<p>Choose a column to sort by it; choose a trial to see its configuration and, if it failed, "
                        + "why.</p>");
        line("<div class=\"table\" data-table=\"trials\"></div></section>");
    }

    private ObjectNode tableData() {
        ObjectNode tables = Json.object("{}");
        tables.set("selected", TableData.selected(summary, selection));
        tables.set("trials", TableData.trials(summary));
        return tables;
    }
}
