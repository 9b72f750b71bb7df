package dev.panthera.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.report.Chart;
import dev.panthera.report.SvgMarks;
import dev.panthera.testing.Browser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

class ComparisonReportTest {
    @TempDir Path folder;

    private static MixerResult result(
            String mixer, Double accuracy, long state, String... failures) {
        return new MixerResult(
                mixer, accuracy, accuracy, 1e-3, 8, 1000, state, 5, List.of(failures));
    }

    private static StepCost cost(String mixer, int length, double seconds) {
        return new StepCost(
                mixer,
                length,
                8192 / length,
                seconds,
                0.9 * seconds,
                1.2 * seconds,
                1 << 20,
                length,
                null);
    }

    private static MixerComparison comparison() {
        List<StepCost> costs = new ArrayList<>();
        for (int length : new int[] {64, 128, 256}) {
            costs.add(cost("attention", length, 0.001 * length));
            costs.add(cost("hyena", length, 0.01));
        }
        costs.add(StepCost.failed("hyena", 512, 16, "out of <memory>"));
        return new MixerComparison(
                "mqar-32-8",
                List.of(
                        result("hyena", 0.25, 4096),
                        result("attention", 0.995, 16384, "learning rate 0.1: diverged"),
                        result("long-conv", null, 0, "learning rate 0.001: it broke")),
                costs,
                List.of("Steps at length 1024 were not timed."),
                Map.of("models", "2 layers"));
    }

    @Test
    void theBestComesFirstAndOfEqualOnesTheSmallerState() {
        var comparison =
                new MixerComparison(
                        "t",
                        List.of(
                                result("failed", null, 0),
                                result("large", 0.5, 200),
                                result("best", 0.9, 900),
                                result("small", 0.5, 100)),
                        List.of(),
                        List.of(),
                        Map.of());

        assertThat(comparison.mixers()).containsExactly("best", "small", "large", "failed");
    }

    @Test
    void theTableHasSpeedAndMemoryAtTheShortestAndLongestLength() {
        var table = ComparisonTable.of(comparison());

        assertThat(table.columns().keySet())
                .containsExactly(
                        "mixer",
                        "accuracy",
                        "lr",
                        "epochs",
                        "parameters",
                        "state",
                        "tokens/s, L=64",
                        "tokens/s, L=256",
                        "memory, L=256");
        assertThat(table.rows())
                .containsExactly(
                        List.of(
                                "attention",
                                "99.50 %",
                                "0.001",
                                "8",
                                "1,000",
                                "16 KiB",
                                "128k",
                                "32k",
                                "1 MiB"),
                        List.of(
                                "hyena", "25.00 %", "0.001", "8", "1,000", "4 KiB", "819k", "819k",
                                "1 MiB"),
                        List.of("long-conv", "failed", "-", "-", "-", "-", "-", "-", "-"));
    }

    @Test
    void aSingleLengthHasOneColumnOfSpeed() {
        var comparison =
                new MixerComparison(
                        "t",
                        List.of(result("hyena", 0.5, 8)),
                        List.of(cost("hyena", 64, 0.01)),
                        List.of(),
                        Map.of());

        var table = ComparisonTable.of(comparison);

        assertThat(table.columns().keySet()).endsWith("tokens/s, L=64", "memory, L=64");
        assertThat(table.rows().getFirst()).hasSize(table.columns().size());
    }

    @Test
    void theLinesHaveEveryNumberAndEveryFailure() {
        var lines = ComparisonLines.of(comparison());

        assertThat(lines).hasSize(3 + 7);
        assertThat(lines.get(0))
                .containsEntry("mixer", "attention")
                .containsEntry("accuracy", 0.995);
        assertThat(lines.get(2))
                .containsEntry("accuracy", null)
                .containsEntry("learning_rate", null);
        assertThat(lines.get(3))
                .containsEntry("length", 64)
                .containsEntry("median_ms", 64.0)
                .containsEntry("tokens_per_s", 128000.0);
        assertThat(lines.getLast()).containsEntry("failure", "out of <memory>");
    }

    @Test
    void thePageNamesWhatFailedAndWhatWasLeftOut() {
        String page = ComparisonReport.page(comparison()).html();

        assertThat(page)
                .contains(
                        "Failed: attention, learning rate 0.1: diverged",
                        "Failed: long-conv, learning rate 0.001: it broke",
                        "Failed: hyena, length 512: out of &lt;memory&gt;",
                        "Steps at length 1024 were not timed.",
                        "<td class=\"number\">99.50 %</td>");
    }

    @Test
    void withoutTimedStepsTheirChartsAreLeftOutWithAReason() {
        var untimed =
                new MixerComparison(
                        "t", List.of(result("hyena", 0.5, 8)), List.of(), List.of(), Map.of());

        assertThat(ComparisonReport.charts(untimed))
                .extracting(chart -> chart.specification().isPresent())
                .containsExactly(true, false, false, false, false);
        assertThat(ComparisonReport.page(untimed).html())
                .contains("Left out: no training steps were timed.")
                .doesNotContain("tokens/s");
    }

    @Test
    void everyPointIsInItsChart() {
        Chart speed = ComparisonReport.charts(comparison()).get(1);
        var values =
                JsonMapper.shared()
                        .readTree(speed.specification().orElseThrow())
                        .at("/data/values");

        assertThat(values).hasSize(6);
        assertThat(values.get(0).get("y").asDouble()).isCloseTo(8192 / 0.064, within(1.0));
        assertThat(values.get(0).get("low").asDouble())
                .isCloseTo(8192 / (1.2 * 0.064), within(1.0));
    }

    @Test
    void theFilesAreWritten() throws IOException {
        var written = ComparisonReport.write(comparison(), folder, false);

        assertThat(written.files().getFirst()).isEqualTo(folder.resolve(ComparisonReport.PAGE));
        assertThat(folder.resolve("charts/tokens-per-second.vl.json")).isNotEmptyFile();
        assertThat(Files.readAllLines(folder.resolve(ComparisonReport.LINES))).hasSize(10);
    }

    @Test
    void aBrowserDrawsEveryMarkWithoutAMessageOrARequest()
            throws IOException, InterruptedException {
        var visit = Browser.visit(folder, ComparisonReport.page(comparison()).html());

        assertThat(visit.consoleLines()).isEmpty();
        assertThat(visit.requests()).isEmpty();
        assertThat(visit.document()).contains("data-drawn=\"true\"");
        assertThat(SvgMarks.count(visit.figure("recall-against-state"), "symbol")).isEqualTo(2);
        for (String chart :
                List.of(
                        "tokens-per-second",
                        "time-per-row",
                        "memory-by-length",
                        "state-by-length")) {
            assertThat(SvgMarks.count(visit.figure(chart), "symbol")).as(chart).isEqualTo(6);
            assertThat(SvgMarks.count(visit.figure(chart), "line")).as(chart).isEqualTo(2);
        }
    }
}
