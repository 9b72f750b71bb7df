package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.report.Report;
import dev.panthera.report.SelectionProtocol;
import dev.panthera.report.StoredSweep;
import dev.panthera.sweep.SweepStore;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code panthera report}: a sweep as a page and pictures, or as a page that follows it. */
@Command(
        name = "report",
        sortOptions = false,
        description = {
            "Writes what a sweep has found so far: one HTML page that needs nothing else, and each chart as SVG, PNG",
            "and Vega-Lite."
        })
final class ReportCommand implements Callable<Integer> {
    private final Streams streams;

    @Parameters(
            paramLabel = "SWEEP",
            description = "Folder of a sweep, or its name if it is in sweeps/.")
    private Path sweep;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Folder to write to. Default: report in the sweep's")
    private @Nullable Path out;

    @Option(
            names = "--protocol",
            paramLabel = "validation|published",
            defaultValue = "validation",
            description =
                    "Which split chooses the learning rate: validation, or the test split itself, as was published. Default: ${DEFAULT-VALUE}")
    private SelectionProtocol protocol;

    @Option(names = "--no-images", description = "Leaves out SVG and PNG, which take some seconds.")
    private boolean noImages;

    @Option(
            names = "--live",
            description = "Shows the page at an address of this machine, and keeps it up to date.")
    private boolean live;

    @Option(
            names = "--port",
            paramLabel = "N",
            description = "Port of --live. Default: any that is free")
    private int port;

    ReportCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        UserException.require(
                live || port == 0,
                "--port %d: it belongs to --live; add that or leave it out",
                port);
        UserException.require(
                port >= 0 && port <= 65535, "--port %d: 1 to 65535 are possible", port);
        Path folder = SweepFolders.find(sweep);
        if (live) {
            return follow(folder);
        }
        try (var store = SweepStore.openForReading(folder)) {
            Path target = out == null ? folder.resolve("report") : out;
            var written =
                    Report.write(
                            StoredSweep.summary(store, protocol),
                            target,
                            new Report.Options(!noImages));
            written.messages()
                    .forEach(message -> streams.err().print("panthera: " + message + "\n"));
            streams.line("%s", written.files().getFirst());
        }
        return Panthera.OK;
    }

    private int follow(Path folder) {
        try (var interruption = new Interruption();
                var store = SweepStore.openForReading(folder);
                var page = LivePage.open(port, () -> StoredSweep.summary(store, protocol))) {
            streams.line("%s  (Ctrl-C ends it)", page.address());
            streams.out().flush();
            interruption.await();
        }
        return Panthera.OK;
    }
}
