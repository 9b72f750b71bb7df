package dev.panthera.track;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.testing.EventFiles;
import dev.panthera.testing.EventFiles.Event;
import dev.panthera.train.MetricSink;
import dev.panthera.train.TrainResult.Ending;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardSinkTest {
    private static final String CONFIG = "{\n  \"epochs\" : 3\n}";

    @TempDir private Path folder;

    private MetricSink sink() {
        var sinks =
                new TrackingOptions(folder, null, "panthera")
                        .sinks(
                                "a-run",
                                line -> {
                                    throw new AssertionError(line);
                                });
        assertThat(sinks).hasSize(1);
        return sinks.getFirst();
    }

    private static SequencedMap<String, Number> loss(double value) {
        SequencedMap<String, Number> line = new LinkedHashMap<>();
        line.put("epoch", 1);
        line.put("train/loss", value);
        return line;
    }

    private List<List<Event>> files() throws IOException {
        List<List<Event>> files = new ArrayList<>();
        for (Path file : EventFiles.in(folder.resolve("a-run"))) {
            files.add(EventFiles.read(file));
        }
        return files;
    }

    @Test
    void stepsAndValuesReadBackAsTheyWere() throws IOException {
        double before = System.currentTimeMillis() / 1e3;
        var sink = sink();
        sink.started(CONFIG, 0);
        SequencedMap<String, Number> epoch = new LinkedHashMap<>();
        epoch.put("learning_rate", 1e-3);
        epoch.put("valid/num_kv_pairs/accuracy-4", 1.0 / 3);
        epoch.put("tokens_per_second", 1.5e6);
        sink.metrics(1, loss(-0.0));
        sink.metrics(300, loss(Double.NaN));
        sink.metrics(5_000_000_000L, epoch);
        sink.ended(Ending.ALL_EPOCHS);
        var events = files().getFirst();
        assertThat(events.getFirst().version()).isEqualTo("brain.Event:2");
        assertThat(events)
                .allSatisfy(event -> assertThat(event.wallTime()).isCloseTo(before, within(60.0)));
        var lines = events.stream().filter(event -> !event.scalars().isEmpty()).toList();
        assertThat(lines).extracting(Event::step).containsExactly(1L, 300L, 5_000_000_000L);
        assertThat(lines.get(0).scalars())
                .containsEntry("train/loss", -0f)
                .containsEntry("epoch", 1f);
        assertThat(lines.get(1).scalars()).containsEntry("train/loss", Float.NaN);
        assertThat(lines.get(2).scalars())
                .containsExactly(
                        Map.entry("learning_rate", 1e-3f),
                        Map.entry("valid/num_kv_pairs/accuracy-4", 1f / 3),
                        Map.entry("tokens_per_second", 1.5e6f));
    }

    @Test
    void theConfigurationIsATextInABlockOfCode() throws IOException {
        var sink = sink();
        sink.started("{\n  \"näme\" : \"x\"\n}", 0);
        sink.ended(null);
        assertThat(files().getFirst().stream().filter(event -> !event.texts().isEmpty()))
                .singleElement()
                .satisfies(event ->
                        assertThat(event.texts())
                                .containsEntry("config", "    {\n      \"näme\" : \"x\"\n    }"));
    }

    @Test
    void whatIsFlushedOutlastsTheProcess() throws IOException {
        var sink = sink();
        sink.started(CONFIG, 0);
        sink.metrics(1, loss(2));
        sink.flush();
        assertThat(files().getFirst().getLast().scalars()).containsEntry("train/loss", 2f);
        sink.ended(null);
    }

    /** Purged as TensorBoard does: a session that starts at a step takes the place of that step and later ones. */
    @Test
    void aResumedRunSupersedesWhatLiesBehindItsCheckpoint() throws IOException {
        var killed = sink();
        killed.started(CONFIG, 0);
        for (int step = 1; step <= 5; step++) {
            killed.metrics(step, loss(step));
        }
        killed.flush();
        var resumed = sink();
        resumed.started(CONFIG, 3);
        for (int step = 4; step <= 6; step++) {
            resumed.metrics(step, loss(10 * step));
        }
        resumed.ended(Ending.ALL_EPOCHS);
        killed.ended(null);
        var files = files();
        assertThat(files).hasSize(2);
        var shown = new TreeMap<Long, Float>();
        for (Event event : files.stream().flatMap(List::stream).toList()) {
            if (event.sessionStatus() == 1) {
                shown.tailMap(event.step(), true).clear();
            } else if (event.scalars().containsKey("train/loss")) {
                assertThat(shown.put(event.step(), event.scalars().get("train/loss"))).isNull();
            }
        }
        assertThat(shown.values()).containsExactly(1f, 2f, 3f, 40f, 50f, 60f);
    }

    @Test
    void nothingIsWrittenBeforeTheRunStarts() {
        sink();
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aFolderThatCannotBeMadeIsNamed() throws IOException {
        Files.writeString(folder.resolve("a-run"), "a file");
        assertThatThrownBy(() -> sink().started(CONFIG, 0))
                .isInstanceOf(UserException.class)
                .hasMessageContainingAll("--tensorboard", "a-run", "check the folder");
    }
}
