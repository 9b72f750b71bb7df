package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The page in a real browser that can reach nothing. */
class ReportInBrowserTest {
    private static final List<String> NAMES =
            List.of("chromium", "chromium-browser", "google-chrome");

    @TempDir Path folder;

    /** What the browser made of a page. */
    private record Visit(String document, String log, List<String> requests) {
        List<String> consoleLines() {
            return log.lines().filter(line -> line.contains("CONSOLE")).toList();
        }

        String figure(String chart) {
            int start = document.indexOf("id=\"chart-" + chart + "\"");
            return start < 0 ? "" : document.substring(start, document.indexOf("</figure>", start));
        }
    }

    private static Optional<String> browser() {
        return NAMES.stream()
                .flatMap(name -> Stream.of(System.getenv("PATH").split(File.pathSeparator))
                        .map(place -> Path.of(place, name)))
                .filter(Files::isExecutable)
                .map(Path::toString)
                .findFirst();
    }

    private Visit visit(String page) throws IOException, InterruptedException {
        Optional<String> browser = browser();
        assumeTrue(
                browser.isPresent(),
                "no Chromium on the PATH (looked for " + NAMES + "); install the package chromium");
        Path file = Files.writeString(folder.resolve("report.html"), page);
        Path document = folder.resolve("document");
        Path log = folder.resolve("log");
        Path network = folder.resolve("network.json");
        List<String> command = new ArrayList<>();
        command.add(browser.get());
        command.addAll(
                List.of(
                        "--headless",
                        "--disable-gpu",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--no-first-run",
                        "--enable-logging=stderr",
                        "--no-proxy-server",
                        "--host-resolver-rules=MAP * ~NOTFOUND",
                        "--log-net-log=" + network,
                        "--user-data-dir=" + folder.resolve("profile"),
                        "--virtual-time-budget=60000",
                        "--dump-dom"));
        if (System.getProperty("user.name").equals("root")) {
            command.add("--no-sandbox");
        }
        command.add(file.toUri().toString());
        Process process =
                new ProcessBuilder(command)
                        .redirectOutput(document.toFile())
                        .redirectError(log.toFile())
                        .start();
        try {
            assertThat(process.waitFor(3, TimeUnit.MINUTES)).as("the browser ends").isTrue();
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
        return new Visit(
                Files.readString(document), Files.readString(log), requests(network));
    }

    /** The addresses that a page asked for. The browser's own requests have no page as their origin. */
    private static List<String> requests(Path network) throws IOException {
        List<String> addresses = new ArrayList<>();
        for (JsonNode event :
                JsonMapper.shared().readTree(Files.readString(network)).get("events")) {
            String origin = event.at("/params/initiator").asString("not an origin");
            JsonNode address = event.at("/params/url");
            if (address.isString() && !origin.equals("not an origin")) {
                addresses.add(address.asString());
            }
        }
        return addresses;
    }

    @Test
    void everyMarkIsThereWithoutAConsoleMessageOrARequest()
            throws IOException, InterruptedException {
        Visit visit = visit(ReportPage.html(SampleSweeps.finished()));

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

    private static long rowsOf(Visit visit, String table) {
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
        Visit visit =
                visit(
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
        Visit visit = visit(ReportPage.html(ReportPageTest.hostile()));

        assertThat(visit.consoleLines()).isEmpty();
        assertThat(visit.document())
                .contains("data-drawn=\"true\"", "&lt;script&gt;alert")
                .doesNotContain("<script>alert");
    }

    @Test
    void anEmptySweepShowsItsPage() throws IOException, InterruptedException {
        Visit visit =
                visit(
                        ReportPage.html(
                                SampleSweeps.summary(List.of(), SelectionProtocol.VALIDATION)));

        assertThat(visit.consoleLines()).isEmpty();
        assertThat(visit.document()).contains("data-drawn=\"true\"", "The sweep has no trials");
    }
}
