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
import java.util.stream.Collectors;
import tools.jackson.databind.json.JsonMapper;

/**
 * A run's metrics as lines of JSON, named as in the original: {@code train/loss} per step, and per epoch
 * {@code valid/loss}, {@code valid/accuracy} and {@code valid/<slice>/accuracy-<value>}. A run that is resumed drops the
 * lines behind its checkpoint, so that its log reads as if it had never stopped.
 */
final class MetricsLog implements AutoCloseable {
    /** Name of the file in a run's folder. */
    static final String FILE = "metrics.jsonl";

    private static final JsonMapper JSON = JsonMapper.shared();

    private final Path file;
    private final BufferedWriter writer;

    /** @param keepSteps lines of later steps are dropped; 0 starts anew */
    MetricsLog(Path folder, long keepSteps) {
        file = folder.resolve(FILE);
        try {
            if (keepSteps > 0 && Files.exists(file)) {
                dropLaterLines(keepSteps);
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

    void step(long step, int epoch, double loss) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", step);
        line.put("epoch", epoch);
        line.put("train/loss", loss);
        write(line);
    }

    void epoch(long step, EpochReport report) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", step);
        line.put("epoch", report.epoch());
        line.put("learning_rate", report.learningRate());
        line.put("train/loss_mean", report.trainLoss());
        put(line, "valid", report.deciding());
        line.put("tokens_per_second", report.tokensPerSecond());
        line.put("seconds", report.seconds());
        write(line);
        flush();
    }

    void end(long step, Evaluation test) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", step);
        put(line, "test", test);
        write(line);
        flush();
    }

    private static void put(Map<String, Object> line, String split, Evaluation evaluation) {
        line.put(split + "/loss", evaluation.loss());
        line.put(split + "/accuracy", evaluation.accuracy());
        evaluation
                .slices()
                .forEach((slice, values) ->
                        values.forEach((value, accuracy) ->
                                line.put(split + "/" + slice + "/accuracy-" + value, accuracy)));
    }

    private void write(Map<String, Object> line) {
        try {
            writer.write(JSON.writeValueAsString(line));
            writer.write('\n');
        } catch (IOException e) {
            throw failure(e);
        }
    }

    void flush() {
        try {
            writer.flush();
        } catch (IOException e) {
            throw failure(e);
        }
    }

    private UserException failure(IOException cause) {
        return new UserException(
                file
                        + ": cannot be written ("
                        + cause.getMessage()
                        + "); check the folder and free space",
                cause);
    }

    @Override
    public void close() {
        try {
            writer.close();
        } catch (IOException e) {
            throw failure(e);
        }
    }
}
