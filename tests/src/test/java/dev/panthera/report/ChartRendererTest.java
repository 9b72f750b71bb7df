package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ChartRendererTest {
    private static ChartRenderer renderer;

    @BeforeAll
    static void load() {
        renderer = new ChartRenderer();
    }

    @AfterAll
    static void close() {
        renderer.close();
    }

    /** Few trials of everything that charts draw: several seeds, a variant, overlays. */
    static SweepSummary small() {
        List<ReportTrial> trials = new ArrayList<>();
        for (ReportTrial trial : SampleSweeps.finished().trials()) {
            boolean kept =
                    trial.length() <= 128 && trial.dModel() <= 128 && trial.learningRate() > 1e-3;
            if (kept && trial.done()) {
                trials.add(trial);
            }
        }
        return SampleSweeps.summary(trials, SelectionProtocol.VALIDATION);
    }

    @Test
    void everyChartIsDrawnWithoutAWarning() {
        for (Chart chart : Charts.of(small())) {
            ChartRenderer.Drawing drawing = renderer.draw(chart.specification().orElseThrow());
            assertThat(drawing.warnings()).as(chart.name()).isEmpty();
            assertThat(drawing.svg())
                    .as(chart.name())
                    .startsWith("<svg role=\"img\" aria-label=\"Line chart of ")
                    .endsWith("</svg>");
        }
    }

    @Test
    void variantsOfAMixerAreDrawnWithoutAWarning() {
        SweepSummary summary = SampleSweeps.statesOfOneTask();
        for (String name : List.of("recall-by-width", "recall-by-state")) {
            Chart chart = ChartsTest.chart(summary, name);
            ChartRenderer.Drawing drawing = renderer.draw(chart.specification().orElseThrow());
            assertThat(drawing.warnings()).as(name).isEmpty();
        }
    }

    @Test
    void aDrawingHasAMarkForEachRowOfItsData() {
        Chart chart = ChartsTest.chart(small(), "recall-by-width");

        String svg = renderer.draw(chart.specification().orElseThrow()).svg();

        // 6 mixers, 2 widths, 2 tasks; published are 3 of these mixers.
        assertThat(SvgMarks.count(svg, "symbol")).isEqualTo(6 * 2 * 2 + 3 * 2 * 2);
        assertThat(SvgMarks.count(svg, "line")).isEqualTo(6 * 2 + 3 * 2);
        assertThat(SvgMarks.count(svg, "rule")).isEqualTo(6 * 2 * 2);
    }

    @Test
    void theSameSpecificationGivesTheSameDrawingWhateverWasDrawnBefore() {
        List<Chart> charts = Charts.of(small());
        String first = charts.getFirst().specification().orElseThrow();
        Map<String, String> svgs = new TreeMap<>();
        svgs.put("before", renderer.draw(first).svg());
        renderer.draw(charts.get(2).specification().orElseThrow());
        svgs.put("after", renderer.draw(first).svg());
        try (var other = new ChartRenderer()) {
            svgs.put("elsewhere", other.draw(first).svg());
        }

        assertThat(svgs.values().stream().distinct()).hasSize(1);
    }

    @Test
    void hostileLabelsAreEscapedInTheDrawing() {
        SweepSummary summary =
                SampleSweeps.summary(
                        small().trials().stream()
                                .map(trial -> SampleSweeps.withMixer(trial, ReportPageTest.HOSTILE))
                                .limit(6)
                                .toList(),
                        SelectionProtocol.VALIDATION);

        String svg =
                renderer.draw(
                                ChartsTest.chart(summary, "recall-by-width")
                                        .specification()
                                        .orElseThrow())
                        .svg();

        assertThat(svg).doesNotContain("<script").contains("&lt;script&gt;");
    }

    @Test
    void whatIsNoSpecificationIsRefused() {
        assertThatThrownBy(() -> renderer.draw("{\"mark\": 3}"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("Vega cannot draw a chart");
    }

    @Test
    void aPngHasTwicePixelsOfItsSvgAndIsTheSameEachTime() {
        String svg =
                renderer.draw(ChartsTest.chart(small(), "throughput").specification().orElseThrow())
                        .svg();

        byte[] png = ChartImage.png(svg);

        assertThat(png).isEqualTo(ChartImage.png(svg)).startsWith(0x89, 'P', 'N', 'G');
        var image = SvgMarks.image(png);
        assertThat(image.getWidth()).isEqualTo(2 * SvgMarks.width(svg));
        assertThat(image.getRGB(0, 0)).isEqualTo(0xFFFFFFFF);
    }
}
