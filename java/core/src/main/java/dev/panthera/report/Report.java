package dev.panthera.report;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Writes the report of a sweep into a folder. */
public final class Report {

    /**
     * What to write besides the page and the specifications.
     *
     * @param images whether to draw each chart as SVG and PNG, which takes some seconds
     */
    public record Options(boolean images) {}

    /**
     * What was written.
     *
     * @param files in the order of writing, the page first
     * @param messages a line for each thing that could not be written, such as PNG files without fonts
     */
    public record Written(List<Path> files, List<String> messages) {
        public Written {
            files = List.copyOf(files);
            messages = List.copyOf(messages);
        }
    }

    private Report() {}

    /**
     * Writes {@code report.html} and {@code charts/NAME.vl.json}, with images also {@code NAME.svg} and {@code
     * NAME.png}. Each file is replaced as a whole; files of an earlier report for charts that have nothing to show now
     * are removed. The same summary gives the same bytes.
     *
     * @param folder created if missing
     * @throws UserException if the folder cannot be written
     */
    public static Written write(SweepSummary summary, Path folder, Options options) {
        List<Chart> charts = Charts.of(summary);
        return write("report.html", ReportPage.html(summary, charts), charts, folder, options);
    }

    /** A page and its charts, as {@link #write(SweepSummary, Path, Options)} writes a sweep's. */
    static Written write(
            String name, String html, List<Chart> charts, Path folder, Options options) {
        Path chartFolder = folder.resolve("charts");
        createFolder(chartFolder);
        List<Path> files = new ArrayList<>();
        Path page = folder.resolve(name);
        AtomicFile.write(page, html);
        files.add(page);
        for (Chart chart : charts) {
            Optional<String> specification = chart.specification();
            if (specification.isPresent()) {
                Path file = chartFolder.resolve(chart.name() + ".vl.json");
                AtomicFile.write(file, Json.pretty(Json.tree(specification.get())) + "\n");
                files.add(file);
            } else {
                remove(chartFolder.resolve(chart.name() + ".vl.json"));
            }
        }
        List<String> messages = new ArrayList<>();
        if (options.images()) {
            writeImages(charts, chartFolder, files, messages);
        } else {
            charts.forEach(chart -> removeImages(chart, chartFolder));
        }
        return new Written(files, messages);
    }

    private static void writeImages(
            List<Chart> charts, Path folder, List<Path> files, List<String> messages) {
        charts.stream()
                .filter(chart -> chart.specification().isEmpty())
                .forEach(chart -> removeImages(chart, folder));
        if (charts.stream().allMatch(chart -> chart.specification().isEmpty())) {
            return;
        }
        boolean fonts = true;
        try (var renderer = new ChartRenderer()) {
            for (Chart chart : charts) {
                if (chart.specification().isEmpty()) {
                    continue;
                }
                String svg = renderer.draw(chart.specification().get()).svg();
                Path file = folder.resolve(chart.name() + ".svg");
                AtomicFile.write(file, svg);
                files.add(file);
                Path png = folder.resolve(chart.name() + ".png");
                fonts = fonts && writePng(svg, png, files, messages);
                if (!fonts) {
                    remove(png);
                }
            }
        }
    }

    /** Whether it could. */
    private static boolean writePng(
            String svg, Path file, List<Path> files, List<String> messages) {
        byte[] png;
        try {
            png = ChartImage.png(svg);
        } catch (ChartImage.NoFontsException noFonts) {
            messages.add(noFonts.getMessage());
            return false;
        }
        AtomicFile.write(
                file,
                channel -> {
                    var bytes = ByteBuffer.wrap(png);
                    while (bytes.hasRemaining()) {
                        channel.write(bytes);
                    }
                });
        files.add(file);
        return true;
    }

    /** A picture of other data beside a new specification would mislead. */
    private static void removeImages(Chart chart, Path folder) {
        remove(folder.resolve(chart.name() + ".svg"));
        remove(folder.resolve(chart.name() + ".png"));
    }

    private static void remove(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException failure) {
            throw new UserException(
                    "cannot remove %s: %s; remove it yourself or choose another folder"
                            .formatted(file, failure.getMessage()),
                    failure);
        }
    }

    private static void createFolder(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException failure) {
            throw new UserException(
                    "cannot create %s: %s; choose a folder that you may write to"
                            .formatted(folder, failure.getMessage()),
                    failure);
        }
    }
}
