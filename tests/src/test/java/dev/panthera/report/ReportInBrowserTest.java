package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.testing.Browser;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page in a real browser that can reach nothing. */
class ReportInBrowserTest {
    @TempDir Path folder;

    @Test
    void everyMarkIsThereWithoutAConsoleMessageOrARequest()
            throws IOException, InterruptedException {
        Browser.Visit visit = Browser.visit(folder, ReportPage.html(SampleSweeps.finished()));

        assertThat(visit.consoleLines()).isEmpty();
        assertThat(visit.requests()).isEmpty();
        assertThat(visit.document()).contains("data-drawn=\"true\"");
        // 6 mixers, 4 widths, 3 tasks; 3 of these mixers have published curves.
        String byWidth = visit.figure("recall-by-width");
        assertThat(SvgMarks.count(byWidth, "symbol")).isEqualTo(6 * 4 * 3 + 3 * 4 * 3);
        assertThat(SvgMarks.count(byWidth, "line")).isEqualTo(6 * 3 + 3 * 3);
        assertThat(SvgMarks.count(visit.figure("recall-by-state"), "line")).isEqualTo(6 * 3);
        assertThat(SvgMarks.count(visit.figure("validation-accuracy-by-epoch"), "line"))
                .isEqualTo(6 * 4 * 3);
        for (Chart chart : Charts.of(SampleSweeps.finished())) {
            long markers =
                    ChartsTest.rows(chart).stream()
                            .filter(row -> row.get("marker").asBoolean())
                            .count();
            assertThat(SvgMarks.count(visit.figure(chart.name()), "symbol"))
                    .as(chart.name())
                    .isEqualTo((int) markers);
        }
        assertThat(rowsOf(visit, "selected")).isEqualTo(50);
        assertThat(visit.document()).contains("Rows 1 to 50 of 864");
    }

    private static long rowsOf(Browser.Visit visit, String table) {
        String section =
                Pattern.compile("data-table=\"" + table + "\">(.*?)</section>", Pattern.DOTALL)
                        .matcher(visit.document())
                        .results()
                        .map((MatchResult match) -> match.group(1))
                        .findFirst()
                        .orElseThrow();
        return Pattern.compile("<tbody>(.*)</tbody>", Pattern.DOTALL)
                .matcher(section)
                .results()
                .flatMap(match -> Pattern.compile("<tr").matcher(match.group(1)).results())
                .count();
    }

    /** Otherwise the other tests could not fail. */
    @Test
    void aRequestOrAConsoleMessageOfAPageIsNoticed() throws IOException, InterruptedException {
        Browser.Visit visit =
                Browser.visit(
                        folder,
                        """
                        <!DOCTYPE html>
                        <title>x</title>
                        <img src="https://panthera.invalid/x.png">
                        <script>console.error("seen")</script>
                        """);

        assertThat(visit.requests()).contains("https://panthera.invalid/x.png");
        assertThat(visit.consoleLines()).anyMatch(line -> line.contains("seen"));
    }

    @Test
    void hostileTextsDoNothingButShow() throws IOException, InterruptedException {
        Browser.Visit visit = Browser.visit(folder, ReportPage.html(ReportPageTest.hostile()));

        assertThat(visit.consoleLines()).isEmpty();
        assertThat(visit.document())
                .contains("data-drawn=\"true\"", "&lt;script&gt;alert")
                .doesNotContain("<script>alert");
    }

    @Test
    void anEmptySweepShowsItsPage() throws IOException, InterruptedException {
        Browser.Visit visit =
                Browser.visit(
                        folder,
                        ReportPage.html(
                                SampleSweeps.summary(List.of(), SelectionProtocol.VALIDATION)));

        assertThat(visit.consoleLines()).isEmpty();
        assertThat(visit.document()).contains("data-drawn=\"true\"", "The sweep has no trials");
    }
}
