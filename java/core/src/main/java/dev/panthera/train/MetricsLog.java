package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A run's metrics as lines of JSON: {@code step} and the metrics by name. A run that is resumed drops the lines behind
 * its checkpoint, so that its log reads as if it had never stopped.
 */
final class MetricsLog implements MetricSink {
    /** Name of the file in a run's folder. */
    static final String FILE = "metrics.jsonl";

    private static final JsonMapper JSON = JsonMapper.shared();

    private final Path file;
    private @Nullable BufferedWriter writer;

    MetricsLog(Path folder) {
        file = folder.resolve(FILE);
    }

    /** Lines of later steps are dropped; a new run starts a new file. */
    @Override
    public void started(String config, long steps) {
        try {
            if (steps > 0 && Files.exists(file)) {
                dropLaterLines(steps);
                writer = Files.newBufferedWriter(file, StandardOpenOption.APPEND);
            } else {
                writer = Files.newBufferedWriter(file);
            }
        } catch (IOException e) {
            throw failure(e);
        }
    }

    private void dropLaterLines(long keepSteps) throws IOException {
        String kept =
                Files.readAllLines(file).stream()
                        .filter(line -> isUpTo(line, keepSteps))
                        .map(line -> line + "\n")
                        .collect(Collectors.joining());
        AtomicFile.write(file, kept);
    }

    private static boolean isUpTo(String line, long steps) {
        try {
            var node = JSON.readTree(line);
            return node.path("step").asLong(Long.MAX_VALUE) <= steps && !node.has("test/accuracy");
        } catch (RuntimeException incompleteLastLine) {
            return false;
        }
    }

    @Override
    public void metrics(long step, SequencedMap<String, Number> values) {
        Map<String, Number> line = new LinkedHashMap<>();
        line.put("step", step);
        line.putAll(values);
        try {
            writer().write(JSON.writeValueAsString(line));
            writer().write('\n');
        } catch (IOException e) {
            throw failure(e);
        }
    }

    @Override
    public void flush() {
        try {
            writer().flush();
        } catch (IOException e) {
            throw failure(e);
        }
    }

    @Override
    public void ended(TrainResult.@Nullable Ending ending) {
        try {
            writer().close();
        } catch (IOException e) {
            throw failure(e);
        }
    }

    private BufferedWriter writer() {
        if (writer == null) {
            throw new IllegalStateException("the run has not started");
        }
        return writer;
    }

    private UserException failure(IOException cause) {
        return new UserException(
                file
                        + ": cannot be written ("
                        + cause.getMessage()
                        + "); check the folder and free space",
                cause);
    }
}
