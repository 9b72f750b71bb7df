package dev.panthera.train;

import static dev.panthera.train.TinyRuns.STEPS_PER_EPOCH;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A run that stops and goes on ends in every bit as one that never stopped: model, moments, metrics and result. */
class ResumeTest {
    private static final TrainConfig CONFIG = TinyRuns.config();

    @TempDir private static Path uninterrupted;

    private static TrainResult expected;

    @TempDir private Path folder;

    @BeforeAll
    static void runWithoutStopping() {
        expected = TinyRuns.run(CONFIG, uninterrupted);
    }

    /** Before the first step, within the first and the second epoch, at an epoch's last step, before the last step. */
    @ParameterizedTest
    @ValueSource(
            ints = {
                0,
                2,
                STEPS_PER_EPOCH,
                STEPS_PER_EPOCH + 1,
                2 * STEPS_PER_EPOCH,
                3 * STEPS_PER_EPOCH - 1
            })
    void afterAStopAtAnyStep(int steps) throws IOException {
        var stopped = TinyRuns.runUntil(steps, CONFIG, folder);
        assertThat(stopped.ending()).isEqualTo(TrainResult.Ending.INTERRUPTED);
        assertThat(stopped.test()).isNull();
        assertThat(stopped.epochs()).isEqualTo(steps / STEPS_PER_EPOCH);
        assertSameAsUninterrupted(TinyRuns.resume(folder));
    }

    @Test
    void afterAStopBetweenTwoEpochs() throws IOException {
        var ended = new boolean[1];
        var listener =
                new TrainListener() {
                    @Override
                    public void epochEnded(EpochReport report) {
                        ended[0] = true;
                    }
                };
        var stopped =
                Trainer.run(CONFIG, TinyRuns.options(folder, false, () -> ended[0]), listener);
        assertThat(stopped.epochs()).isEqualTo(1);
        assertSameAsUninterrupted(TinyRuns.resume(folder));
    }

    @Test
    void theListenerOfAResumedRunHearsOfTheEpochsBefore() {
        var stopped = TinyRuns.runUntil(2 * STEPS_PER_EPOCH + 1, CONFIG, folder);
        var heard = new ArrayList<EpochReport>();
        var listener =
                new TrainListener() {
                    @Override
                    public void started(RunInfo info) {
                        heard.addAll(info.history());
                    }

                    @Override
                    public void epochEnded(EpochReport report) {
                        heard.add(report);
                    }
                };
        var result = Trainer.run(CONFIG, TinyRuns.options(folder, true, () -> false), listener);
        assertThat(heard)
                .hasSize(3)
                .isEqualTo(result.history())
                .startsWith(stopped.history().toArray(EpochReport[]::new));
        assertThat(result.totalSeconds())
                .isEqualTo(result.history().stream().mapToDouble(EpochReport::seconds).sum())
                .isGreaterThan(stopped.totalSeconds());
    }

    @Test
    void afterManyStops() throws IOException {
        TinyRuns.runUntil(3, CONFIG, folder);
        while (TinyRuns.resumeUntil(4, CONFIG, folder).ending() == TrainResult.Ending.INTERRUPTED) {
            assertThat(Checkpoint.readConfig(Checkpoint.locate(folder))).isEqualTo(CONFIG);
        }
        assertSameAsUninterrupted(TinyRuns.resume(folder));
    }

    @Test
    void aStopDuringTheLastStepComesTooLateToInterrupt() throws IOException {
        assertSameAsUninterrupted(TinyRuns.runUntil(3 * STEPS_PER_EPOCH, CONFIG, folder));
    }

    /** A killed process may have logged steps that its checkpoint does not know, the last line in parts. */
    @Test
    void logLinesBehindTheCheckpointAreReplaced() throws IOException {
        TinyRuns.runUntil(STEPS_PER_EPOCH + 2, CONFIG, folder);
        Files.writeString(
                folder.resolve(MetricsLog.FILE),
                """
                {"step":8,"epoch":2,"train/loss":99.0}
                {"step":9,"epo\
                """,
                StandardOpenOption.APPEND);
        assertSameAsUninterrupted(TinyRuns.resume(folder));
    }

    @Test
    void aFinishedRunIsOnlyTestedAgain() throws IOException {
        TinyRuns.run(CONFIG, folder);
        assertSameAsUninterrupted(TinyRuns.resume(folder));
    }

    @Test
    void anEarlyStoppedRunStaysStopped() throws IOException {
        var config = TinyRuns.config("stop_above=-1");
        var stopped = TinyRuns.run(config, folder);
        var log = TinyRuns.metrics(folder);
        var again = TinyRuns.resume(folder);
        assertThat(again.ending()).isEqualTo(TrainResult.Ending.STOPPED_EARLY);
        assertThat(again.epochs()).isEqualTo(1);
        assertThat(again.test()).isEqualTo(stopped.test());
        assertThat(TinyRuns.metrics(folder)).isEqualTo(log);
    }

    private void assertSameAsUninterrupted(TrainResult result) throws IOException {
        assertThat(result.test()).isEqualTo(expected.test());
        assertThat(result.ending()).isEqualTo(expected.ending());
        assertThat(result.epochs()).isEqualTo(expected.epochs());
        assertThat(TinyRuns.history(result)).isEqualTo(TinyRuns.history(expected));
        assertThat(result.history())
                .allSatisfy(epoch -> {
                    assertThat(epoch.seconds()).isPositive();
                    assertThat(epoch.tokensPerSecond()).isPositive();
                });
        assertThat(TinyRuns.metadata(folder)).isEqualTo(TinyRuns.metadata(uninterrupted));
        assertThat(TinyRuns.tensors(folder)).isEqualTo(TinyRuns.tensors(uninterrupted));
        assertThat(TinyRuns.metrics(folder)).isEqualTo(TinyRuns.metrics(uninterrupted));
    }
}
