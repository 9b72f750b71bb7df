package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class MetricSinkTest {
    private static final TrainConfig CONFIG = TinyRuns.config();

    @TempDir private Path folder;

    /** Keeps what it is told; lines as in the run's log. */
    private static final class Recorder implements MetricSink {
        private final List<String> calls = new ArrayList<>();
        private final List<String> lines = new ArrayList<>();
        private @Nullable String config;
        private int flushes;

        @Override
        public void started(String config, long steps) {
            this.config = config;
            calls.add("started at " + steps);
        }

        @Override
        public void metrics(long step, SequencedMap<String, Number> values) {
            ObjectNode line = JsonMapper.shared().createObjectNode().put("step", step);
            values.forEach((name, value) -> line.putPOJO(name, value));
            lines.add(line.toString());
        }

        @Override
        public void flush() {
            flushes++;
        }

        @Override
        public void ended(TrainResult.@Nullable Ending ending) {
            calls.add("ended: " + ending);
        }
    }

    private static TrainResult run(
            @Nullable Path folder, boolean resume, BooleanSupplier stop, MetricSink... sinks) {
        var options =
                new RunOptions(
                        new DeviceChoice("cpu", 2), folder, resume, stop, null, List.of(sinks));
        return Trainer.run(CONFIG, options, TrainListener.SILENT);
    }

    @Test
    void aSinkGetsTheLinesOfTheLogAndTheConfiguration() throws IOException {
        var sink = new Recorder();
        run(folder, false, () -> false, sink);
        assertThat(sink.calls).containsExactly("started at 0", "ended: ALL_EPOCHS");
        assertThat(sink.config).isEqualTo(ConfigFile.toJson(CONFIG));
        assertThat(sink.lines)
                .isEqualTo(Files.readAllLines(folder.resolve(MetricsLog.FILE)))
                .hasSize(3 * (TinyRuns.STEPS_PER_EPOCH + 1) + 1);
        assertThat(sink.lines.getLast()).contains("test/key_query_distance/accuracy-4");
        assertThat(sink.flushes).isGreaterThanOrEqualTo(4);
    }

    @Test
    void aRunWithoutAFolderHasMetricsToo() {
        var sink = new Recorder();
        run(null, false, () -> false, sink);
        assertThat(sink.lines).hasSize(3 * (TinyRuns.STEPS_PER_EPOCH + 1) + 1);
    }

    @Test
    void aSinkIsToldWhereAResumedRunGoesOn() {
        var first = new Recorder();
        run(folder, false, () -> first.lines.size() >= 3, first);
        assertThat(first.calls).containsExactly("started at 0", "ended: INTERRUPTED");
        var second = new Recorder();
        run(folder, true, () -> false, second);
        assertThat(second.calls).containsExactly("started at 3", "ended: ALL_EPOCHS");
        assertThat(second.lines.getFirst()).startsWith("{\"step\":4,");
    }

    @Test
    void everySinkIsEndedIfARunFails() {
        var sink = new Recorder();
        BooleanSupplier failing =
                () -> {
                    throw new UserException("the disk is full; make room");
                };
        assertThatThrownBy(() -> run(folder, false, failing, sink))
                .isInstanceOf(UserException.class);
        assertThat(sink.calls).containsExactly("started at 0", "ended: null");
    }

    @Test
    void aSinkThatCannotStartEndsThoseBeforeIt() {
        var before = new Recorder();
        var after = new Recorder();
        var unable =
                new MetricSink() {
                    @Override
                    public void started(String config, long steps) {
                        throw new UserException("no room; make some");
                    }

                    @Override
                    public void metrics(long step, SequencedMap<String, Number> values) {
                        throw new AssertionError("it has not started");
                    }

                    @Override
                    public void ended(TrainResult.@Nullable Ending ending) {
                        throw new AssertionError("it has not started");
                    }
                };
        assertThatThrownBy(() -> run(null, false, () -> false, before, unable, after))
                .hasMessage("no room; make some");
        assertThat(before.calls).containsExactly("started at 0", "ended: null");
        assertThat(after.calls).isEmpty();
    }
}
