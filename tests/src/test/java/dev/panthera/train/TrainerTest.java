package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrainerTest {

    @TempDir private Path folder;

    /** Keeps what a run reports. */
    private static final class Recorder implements TrainListener {
        private final List<EpochReport> epochs = new ArrayList<>();
        private final List<StepReport> steps = new ArrayList<>();

        @Override
        public void stepped(StepReport report) {
            steps.add(report);
        }

        @Override
        public void epochEnded(EpochReport report) {
            epochs.add(report);
        }

        TrainResult run(TrainConfig config) {
            return Trainer.run(config, TinyRuns.options(2, null), this);
        }
    }

    /** Two threads come twice: the second time shows that a run repeats itself. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void threadsAndRepetitionChangeNoBit(int threads) throws IOException {
        var config = TinyRuns.config();
        Path first = folder.resolve("first");
        Path second = folder.resolve("second");
        var expected = TinyRuns.run(config, first);
        var result = Trainer.run(config, TinyRuns.options(threads, second), TrainListener.SILENT);
        assertThat(TinyRuns.tensors(second)).isEqualTo(TinyRuns.tensors(first));
        assertThat(TinyRuns.metadata(second)).isEqualTo(TinyRuns.metadata(first));
        assertThat(TinyRuns.history(result)).isEqualTo(TinyRuns.history(expected));
        assertThat(TinyRuns.metrics(second)).isEqualTo(TinyRuns.metrics(first));
        assertThat(result.test()).isEqualTo(expected.test());
    }

    @Test
    void theFolderIsMadeAndHoldsConfigMetricsAndCheckpointOnly() {
        Path deep = folder.resolve("a/b");
        var result = TinyRuns.run(TinyRuns.config("epochs=1"), deep);
        assertThat(deep.toFile().list())
                .containsExactlyInAnyOrder(Trainer.CONFIG_FILE, MetricsLog.FILE, Checkpoint.FILE);
        assertThat(result.checkpoint()).isEqualTo(deep.resolve(Checkpoint.FILE));
    }

    @Test
    void allEpochsAndStepsAreReportedInOrder() {
        var recorder = new Recorder();
        var result = recorder.run(TinyRuns.config());
        assertThat(result.ending()).isEqualTo(TrainResult.Ending.ALL_EPOCHS);
        assertThat(result.epochs()).isEqualTo(3);
        assertThat(recorder.epochs).extracting(EpochReport::epoch).containsExactly(1, 2, 3);
        assertThat(recorder.steps).hasSize(3 * TinyRuns.STEPS_PER_EPOCH);
        double meanLoss =
                recorder.steps.stream()
                        .filter(step -> step.epoch() == 2)
                        .mapToDouble(StepReport::loss)
                        .average()
                        .orElseThrow();
        assertThat(recorder.epochs.get(1).trainLoss()).isCloseTo(meanLoss, within(1e-12));
    }

    @Test
    void theRunEndsAfterTheFirstEpochAboveTheThreshold() {
        var recorder = new Recorder();
        var result = recorder.run(TinyRuns.config("stop_above=-0.5"));
        assertThat(result.ending()).isEqualTo(TrainResult.Ending.STOPPED_EARLY);
        assertThat(recorder.epochs).hasSize(1);
        assertThat(result.test()).isNotNull();
    }

    /** The threshold itself is not above the threshold. */
    @Test
    void accuracyEqualToTheThresholdDoesNotStop() {
        var first = new Recorder();
        first.run(TinyRuns.config("epochs=1"));
        double accuracy = first.epochs.getFirst().deciding().accuracy();
        var second = new Recorder();
        second.run(TinyRuns.config("epochs=1", "stop_above=" + accuracy));
        assertThat(second.epochs.getFirst().deciding().accuracy()).isEqualTo(accuracy);
        assertThat(second.run(TinyRuns.config("epochs=1", "stop_above=" + accuracy)).ending())
                .isEqualTo(TrainResult.Ending.ALL_EPOCHS);
    }

    @Test
    void thePublishedProtocolDecidesOnTheTestSplit() {
        var recorder = new Recorder();
        var result = recorder.run(TinyRuns.config("protocol=published", "data.validation=[]"));
        assertThat(recorder.epochs.getLast().deciding()).isEqualTo(result.test());
    }

    @Test
    void theValidationProtocolDecidesOnRowsOfItsOwnAndTrainsTheSameModel() {
        var recorder = new Recorder();
        Path validation = folder.resolve("validation");
        Path published = folder.resolve("published");
        var result = recorder.run(TinyRuns.config());
        TinyRuns.run(TinyRuns.config(), validation);
        TinyRuns.run(TinyRuns.config("protocol=published"), published);
        assertThat(recorder.epochs.getLast().deciding()).isNotEqualTo(result.test());
        assertThat(recorder.epochs.getLast().deciding().examples()).isEqualTo(30);
        assertThat(result.test().examples()).isEqualTo(45);
        assertThat(TinyRuns.tensors(validation)).isEqualTo(TinyRuns.tensors(published));
    }

    @Test
    void theLearningRateFallsAsHalfACosineByEpoch() {
        var schedule = new CosineSchedule(0.4, 64);
        assertThat(schedule.at(0)).isEqualTo(0.4);
        assertThat(schedule.at(16)).isCloseTo(0.2 * (1 + Math.sqrt(0.5)), within(1e-15));
        assertThat(schedule.at(32)).isCloseTo(0.2, within(1e-15));
        assertThat(schedule.at(48)).isCloseTo(0.2 * (1 - Math.sqrt(0.5)), within(1e-15));
        assertThat(schedule.at(64)).isCloseTo(0, within(1e-15));
        var recorder = new Recorder();
        recorder.run(TinyRuns.config("learning_rate=0.001"));
        assertThat(recorder.epochs)
                .extracting(EpochReport::learningRate)
                .containsExactly(
                        0.001,
                        new CosineSchedule(0.001, 3).at(1),
                        new CosineSchedule(0.001, 3).at(2));
    }

    @Test
    void theModelSeedChangesTheModelAndTheDataSeedDoesNot() {
        var parameters = initialParameters("seed=7", "data.seed=11");
        assertThat(initialParameters("seed=7", "data.seed=12")).isEqualTo(parameters);
        String weight = "backbone.layers.0.sequence_mixer.Wqkv.weight";
        assertThat(initialParameters("seed=8", "data.seed=11").get(weight))
                .isNotEqualTo(parameters.get(weight));
    }

    @Test
    void bothSeedsChangeTheRun() {
        assertThat(firstLoss("data.seed=12")).isNotEqualTo(firstLoss("data.seed=11"));
        assertThat(firstLoss("seed=8")).isNotEqualTo(firstLoss("seed=7"));
    }

    private static double firstLoss(String setting) {
        var recorder = new Recorder();
        recorder.run(TinyRuns.config(setting, "epochs=1"));
        return recorder.steps.getFirst().loss();
    }

    private static Map<String, IntBuffer> initialParameters(String... settings) {
        try (var session = TinyRuns.session(TinyRuns.config(settings), 1)) {
            return TinyRuns.parameters(session);
        }
    }
}
