package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {
    private static final Report.Options WITH_IMAGES = new Report.Options(true);
    private static final Report.Options WITHOUT_IMAGES = new Report.Options(false);

    @TempDir Path folder;

    private static SweepSummary oneChartOfEach() {
        return SampleSweeps.summary(
                ChartRendererTest.small().trials().stream()
                        .filter(trial -> trial.dModel() == 64)
                        .toList(),
                SelectionProtocol.VALIDATION);
    }

    @Test
    void writesThePageAndEachChartInThreeFormats() throws IOException {
        Report.Written written = Report.write(oneChartOfEach(), folder, WITH_IMAGES);

        assertThat(written.messages()).isEmpty();
        assertThat(written.files())
                .hasSize(1 + 8 * 3)
                .allSatisfy(file -> assertThat(file).isNotEmptyFile());
        try (Stream<Path> charts = Files.list(folder.resolve("charts"))) {
            assertThat(charts).hasSize(8 * 3);
        }
        assertThat(folder.resolve("report.html"))
                .content()
                .isEqualTo(ReportPage.html(oneChartOfEach()));
    }

    @Test
    void picturesOfAnEarlierReportDoNotOutliveTheirData() throws IOException {
        Files.createDirectories(folder.resolve("charts"));
        Files.writeString(folder.resolve("charts/recall-by-width.svg"), "old");
        Files.writeString(folder.resolve("charts/recall-by-width.vl.json"), "old");

        Report.write(
                SampleSweeps.summary(List.of(), SelectionProtocol.VALIDATION), folder, WITH_IMAGES);

        try (Stream<Path> charts = Files.list(folder.resolve("charts"))) {
            assertThat(charts).isEmpty();
        }
        assertThat(folder.resolve("report.html")).isNotEmptyFile();
    }

    @Test
    void withoutImagesThereAreSpecificationsAlone() throws IOException {
        Report.write(oneChartOfEach(), folder.resolve("new/report"), WITHOUT_IMAGES);

        try (Stream<Path> charts = Files.list(folder.resolve("new/report/charts"))) {
            assertThat(charts).hasSize(8).allMatch(file -> file.toString().endsWith(".vl.json"));
        }
    }

    @Test
    void aPlaceThatCannotBeWrittenIsOneLine() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");

        assertThatThrownBy(() -> Report.write(oneChartOfEach(), file.resolve("x"), WITHOUT_IMAGES))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("choose a folder")
                .hasMessageNotContaining("\n");
    }
}
