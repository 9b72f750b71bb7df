package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.sweep.TrialStatus;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class ChartsTest {

    static Chart chart(SweepSummary summary, String name) {
        return Charts.of(summary).stream()
                .filter(chart -> chart.name().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static JsonNode specification(Chart chart) {
        return Json.tree(chart.specification().orElseThrow());
    }

    static List<JsonNode> rows(Chart chart) {
        return specification(chart).at("/data/values").valueStream().toList();
    }

    private static List<JsonNode> rows(Chart chart, String source) {
        return rows(chart).stream()
                .filter(row -> row.get("source").asString().equals(source))
                .toList();
    }

    @Test
    void everyChartHasDataInAFinishedSweepAndSaysWhatIsReadOffIt() {
        assertThat(Charts.of(SampleSweeps.finished()))
                .hasSize(8)
                .allSatisfy(chart -> {
                    assertThat(chart.specification()).isPresent();
                    assertThat(chart.caption()).endsWith(".");
                    assertThat(chart.alternative()).contains("Rightmost values");
                });
    }

    @Test
    void accuracyByWidthHasOnePointPerSetting() {
        Chart chart = chart(SampleSweeps.finished(), "recall-by-width");

        assertThat(rows(chart, "sweep")).hasSize(6 * 4 * 3);
        assertThat(specification(chart).at("/spec/encoding/x/axis/values"))
                .hasToString("[64.0,128.0,256.0,512.0]");
        assertThat(specification(chart).at("/spec/encoding/y/axis/values"))
                .hasToString("[0,0.25,0.5,0.75,1]");
    }

    @Test
    void publishedCurvesAreLaidOverMatchingMixersAndTasksAlone() {
        Chart chart = chart(SampleSweeps.finished(), "recall-by-width");

        assertThat(rows(chart, "published"))
                .hasSize(3 * 4 * 3)
                .extracting(row -> row.get("line").asString())
                .containsOnly("attention", "hyena", "base-conv");
        assertThat(chart.caption()).contains("Zoology", "arXiv:2312.04927");
        Chart other = chart(onAnotherTask(), "recall-by-width");
        assertThat(rows(other, "published")).isEmpty();
        assertThat(other.caption()).doesNotContain("Zoology");
    }

    @Test
    void tasksWithRowsOfTheSameSizeHavePanelsOfTheirOwnAndOnlyOneIsThePublishedOne() {
        List<String> tasks = List.of("forgetting-mqar", "mqar");
        List<ReportTrial> shortRows =
                SampleSweeps.finished().trials().stream()
                        .filter(trial -> trial.done() && trial.length() == 64)
                        .toList();
        SweepSummary summary =
                SampleSweeps.summary(
                        tasks.stream()
                                .flatMap(task ->
                                        shortRows.stream()
                                                .map(trial -> SampleSweeps.onTask(trial, task)))
                                .toList(),
                        SelectionProtocol.VALIDATION);

        for (String name : List.of("recall-by-width", "recall-by-state")) {
            Chart chart = chart(summary, name);
            assertThat(rows(chart, "sweep"))
                    .extracting(row -> row.get("panel").asString())
                    .as(name)
                    .hasSameElementsAs(tasks);
        }
        assertThat(rows(chart(summary, "recall-by-width"), "published"))
                .extracting(row -> row.get("panel").asString())
                .containsOnly("mqar");
    }

    private static SweepSummary onAnotherTask() {
        return SampleSweeps.summary(
                SampleSweeps.finished().trials().stream()
                        .map(trial -> SampleSweeps.withPairs(trial, 5))
                        .toList(),
                SelectionProtocol.VALIDATION);
    }

    @Test
    void publishedStatesAreLaidOverWhenTheTestSetsAreThePublishedOnes() {
        Map<Integer, Double> slices =
                Map.of(4, 1.0, 8, 1.0, 16, 1.0, 32, 0.9, 64, 0.8, 128, 0.7, 256, 0.5);
        SweepSummary summary =
                SampleSweeps.summary(
                        SampleSweeps.finished().trials().stream()
                                .filter(ReportTrial::done)
                                .filter(trial -> trial.length() == 256)
                                .map(trial ->
                                        SampleSweeps.withSlices(
                                                trial, Map.of(ReportTrial.BY_PAIRS, slices)))
                                .toList(),
                        SelectionProtocol.VALIDATION);

        Chart chart = chart(summary, "recall-by-state");
        assertThat(rows(chart, "published")).isNotEmpty();
        assertThat(chart.caption()).contains("zoology_results.png");
        assertThat(rows(chart(SampleSweeps.finished(), "recall-by-state"), "published")).isEmpty();
    }

    /** 3 mixers in 8 sizes and attention are 25 lines; in 3 sizes they are 10. */
    @Test
    void ofTooManyLinesToTellApartTheBestOfEachMixerIsLeft() {
        SweepSummary few = SampleSweeps.statesOfOneTask(3);
        SweepSummary many = SampleSweeps.statesOfOneTask(8);
        for (String name : List.of("recall-by-width", "throughput")) {
            assertThat(lines(chart(few, name))).hasSize(10);
            assertThat(lines(chart(many, name)))
                    .containsExactlyInAnyOrder(
                            "attention", "sliding-attention", "based", "my-mixer");
        }
        assertThat(chart(few, "recall-by-width").caption()).doesNotContain("the best is shown");
        Chart byWidth = chart(many, "recall-by-width");
        assertThat(byWidth.caption())
                .contains("Of a mixer's settings of one width the best is shown.");
        assertThat(rows(byWidth, "sweep")).hasSize(4 * 2);
        double best =
                many.trials().stream()
                        .filter(trial -> trial.mixer().equals("based") && trial.dModel() == 64)
                        .mapToDouble(ReportTrial::testAccuracy)
                        .max()
                        .orElseThrow();
        assertThat(rows(byWidth, "sweep"))
                .filteredOn(row ->
                        row.get("line").asString().equals("based") && row.get("x").asInt() == 64)
                .singleElement()
                .satisfies(
                        row -> assertThat(row.get("y").asDouble()).isCloseTo(best, within(1e-5)));
    }

    private static List<String> lines(Chart chart) {
        return rows(chart, "sweep").stream()
                .map(row -> row.get("line").asString())
                .distinct()
                .toList();
    }

    @Test
    void anEmptySweepHasNoChartsAndSaysWhy() {
        SweepSummary none = SampleSweeps.summary(List.of(), SelectionProtocol.VALIDATION);

        assertThat(Charts.of(none))
                .allSatisfy(chart -> {
                    assertThat(chart.specification()).isEmpty();
                    assertThat(chart.notes()).containsExactly("Left out: the sweep has no trials.");
                });
    }

    @Test
    void aSweepWithoutFinishedTrialsHasNoChartsAndSaysWhy() {
        SweepSummary waiting =
                SampleSweeps.summary(
                        SampleSweeps.finished().trials().stream()
                                .map(trial -> SampleSweeps.with(trial, TrialStatus.WAITING, null))
                                .toList(),
                        SelectionProtocol.VALIDATION);

        assertThat(Charts.of(waiting))
                .allSatisfy(chart -> {
                    assertThat(chart.specification()).isEmpty();
                    assertThat(chart.notes()).containsExactly("Left out: no trial has finished.");
                });
    }

    @Test
    void aChartWithoutItsDataIsLeftOutAlone() {
        SweepSummary plain =
                SampleSweeps.summary(
                        SampleSweeps.finished().trials().stream()
                                .filter(ReportTrial::done)
                                .map(trial -> SampleSweeps.withSlices(trial, Map.of()))
                                .toList(),
                        SelectionProtocol.VALIDATION);

        assertThat(Charts.of(plain).stream().filter(chart -> chart.specification().isEmpty()))
                .extracting(Chart::name)
                .containsExactly("accuracy-by-distance", "accuracy-by-pairs");
        assertThat(chart(plain, "accuracy-by-pairs").notes())
                .containsExactly(
                        "Left out: no selected trial was tested at more than one number of key-value pairs.");
    }

    @Test
    void coloursStayTheSameWhileASweepGoesOn() {
        assertThat(ChartInput.of(SampleSweeps.halfDone()).palette().lines())
                .isEqualTo(ChartInput.of(SampleSweeps.finished()).palette().lines());
    }

    @Test
    void barsSpanTheSeeds() {
        SweepSummary summary = SampleSweeps.finished();
        Selected first = Selection.of(summary).settings().getFirst();
        Statistics test = first.test().orElseThrow();

        JsonNode row = rows(chart(summary, "recall-by-width")).getFirst();
        assertThat(Stream.of("low", "y", "high").map(name -> row.get(name).asDouble()))
                .usingElementComparator((a, b) -> Math.abs(a - b) < 1e-5 ? 0 : Double.compare(a, b))
                .containsExactly(test.min(), test.mean(), test.max());
    }

    @Test
    void tenThousandTrialsGiveSmallSpecifications() {
        assertThat(Charts.of(SampleSweeps.large(10_000)))
                .allSatisfy(chart ->
                        assertThat(chart.specification().orElseThrow()).hasSizeLessThan(3_000_000));
    }
}
