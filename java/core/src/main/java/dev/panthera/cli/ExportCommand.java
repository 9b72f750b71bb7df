package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import dev.panthera.sweep.SweepStore;
import dev.panthera.sweep.TrialTable;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;

/** {@code panthera export}: a sweep's trials for other programs. */
@Command(
        name = "export",
        sortOptions = false,
        description = "Writes the trials of a sweep as a table, a row each.")
final class ExportCommand implements Callable<Integer> {
    private final Streams streams;

    @Parameters(
            paramLabel = "SWEEP",
            description = "Folder of a sweep, or its name if it is in sweeps/.")
    private Path sweep;

    @Option(
            names = "--format",
            paramLabel = "csv|parquet|jsonl",
            defaultValue = "csv",
            description = "How it is written. Default: ${DEFAULT-VALUE}")
    private Format format;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "File to write; Parquet needs one. Default: standard output")
    private @Nullable Path out;

    private enum Format {
        CSV,
        PARQUET,
        JSONL
    }

    ExportCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        try (var store = SweepStore.openForReading(SweepFolders.find(sweep))) {
            var rows = TrialTable.rows(store.trials());
            switch (format) {
                case CSV -> write(csv(rows));
                case JSONL -> write(jsonLines(rows));
                case PARQUET -> {
                    UserException.require(
                            out != null,
                            "--format parquet: it is binary and needs a file; add --out trials.parquet");
                    ParquetFile.write(rows.isEmpty() ? "" : jsonLines(rows), out);
                }
            }
        }
        return Panthera.OK;
    }

    private void write(String text) {
        if (out == null) {
            streams.out().print(text);
        } else {
            AtomicFile.write(out, text);
        }
    }

    private static String jsonLines(List<? extends Map<String, ?>> rows) {
        return rows.stream()
                .map(row -> JsonMapper.shared().writeValueAsString(row) + "\n")
                .collect(Collectors.joining());
    }

    /** As RFC 4180 has it, but that lines end as everywhere else here. */
    private static String csv(List<? extends Map<String, ?>> rows) {
        if (rows.isEmpty()) {
            return "";
        }
        var text = new StringBuilder();
        text.append(row(rows.getFirst().keySet().stream().map(Object.class::cast).toList()));
        rows.forEach(row -> text.append(row(new ArrayList<Object>(row.values()))));
        return text.toString();
    }

    private static String row(List<?> cells) {
        return cells.stream().map(ExportCommand::cell).collect(Collectors.joining(",")) + "\n";
    }

    private static String cell(@Nullable Object value) {
        String text = value == null ? "" : value.toString();
        return text.chars().anyMatch(c -> ",\"\n\r".indexOf(c) >= 0)
                ? '"' + text.replace("\"", "\"\"") + '"'
                : text;
    }
}
