package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.task.RowStorage;
import dev.panthera.testing.CudaTest;
import java.io.IOException;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

/** Training on CUDA: the losses of the CPU, the same bits each time, and checkpoints that either can go on from. */
@CudaTest
class CudaTrainingTest {

    private static final DeviceChoice CPU = new DeviceChoice("cpu", 2);
    private static final DeviceChoice CUDA = new DeviceChoice("cuda:0", 0);

    private static final int STEPS = 30;
    private static final double RELATIVE_LOSS_DIFFERENCE = 1e-4;

    @TempDir private Path folder;

    private record Trained(List<Float> losses, Map<String, IntBuffer> parameters) {}

    /** With every kind of dropout, whose masks are the same on every device. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "attention",
                "base-conv",
                "hyena",
                "hybrid",
            })
    void lossesAreThoseOfTheCpuAndTheSameBitsInEveryRun(String mixer) {
        var config = config(mixer);
        var cpu = train(config, CPU, STEPS);
        var cuda = train(config, CUDA, STEPS);
        for (int step = 0; step < STEPS; step++) {
            double expected = cpu.losses().get(step);
            assertThat((double) cuda.losses().get(step))
                    .as("loss of step %d", step)
                    .isCloseTo(expected, within(RELATIVE_LOSS_DIFFERENCE * expected));
        }
        assertThat(train(config, CUDA, STEPS)).isEqualTo(cuda);
    }

    private static TrainConfig config(String mixer) {
        return TinyRuns.config(
                "model.mixer="
                        + (mixer.equals("hybrid")
                                ? "{name: hybrid, configs: [long-conv, short-conv]}"
                                : mixer),
                "data.batch=4",
                "data.test_batch=4");
    }

    private static Trained train(TrainConfig config, DeviceChoice device, int steps) {
        List<Float> losses = new ArrayList<>();
        try (var session = TinyRuns.session(config, device);
                var step = new TrainingStep(session, AdamW.Options.withWeightDecay(0.1), 1);
                var data = config.data().trainDataset(RowStorage.MATERIALISED)) {
            for (int i = 0; i < steps; i++) {
                var batch = data.batch(i / data.batchesPerEpoch(), i % data.batchesPerEpoch());
                losses.add(step.run(batch, 3e-3));
            }
            return new Trained(losses, TinyRuns.parameters(session));
        }
    }

    /** A device writes what another one wrote, in every bit: values, moments, position. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aCheckpointCrossesDevicesUnchanged(boolean toCuda) throws IOException {
        var config = config("hyena");
        TinyRuns.runUntil(3, config, toCuda ? CPU : CUDA, folder, false);
        byte[] written = TinyRuns.checkpoint(folder);
        TinyRuns.runUntil(0, config, toCuda ? CUDA : CPU, folder, true);
        assertThat(TinyRuns.checkpoint(folder)).isEqualTo(written);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aRunGoesOnOnAnotherDevice(boolean toCuda) throws IOException {
        var config = TinyRuns.config("epochs=2");
        Path whole = folder.resolve("whole");
        Path moved = folder.resolve("moved");
        var expected = TinyRuns.runUntil(1000, config, CPU, whole, false);
        TinyRuns.runUntil(7, config, toCuda ? CPU : CUDA, moved, false);
        var result = TinyRuns.runUntil(1000, config, toCuda ? CUDA : CPU, moved, true);
        assertThat(result.ending()).isEqualTo(TrainResult.Ending.ALL_EPOCHS);
        assertThat(result.epochs()).isEqualTo(expected.epochs());
        assertSameLosses(TinyRuns.metrics(moved), TinyRuns.metrics(whole));
        for (var device : List.of(CPU, CUDA)) {
            assertThat(Evaluator.evaluate(moved, device, null).loss())
                    .isCloseTo(expected.test().loss(), within(1e-4 * expected.test().loss()));
        }
    }

    private static void assertSameLosses(List<String> actual, List<String> expected) {
        assertThat(actual).hasSameSizeAs(expected);
        var json = JsonMapper.shared();
        int losses = 0;
        for (int i = 0; i < expected.size(); i++) {
            var ours = json.readTree(actual.get(i));
            var theirs = json.readTree(expected.get(i));
            assertThat(ours.get("step")).isEqualTo(theirs.get("step"));
            if (theirs.has("train/loss")) {
                double loss = theirs.get("train/loss").asDouble();
                assertThat(ours.get("train/loss").asDouble())
                        .as("line %d", i)
                        .isCloseTo(loss, within(RELATIVE_LOSS_DIFFERENCE * loss));
                losses++;
            }
        }
        assertThat(losses).isGreaterThanOrEqualTo(2 * TinyRuns.STEPS_PER_EPOCH);
    }

    @Test
    void twoThreadsTrainOnOneDeviceAsOneAfterTheOther() throws Exception {
        List<Callable<Trained>> runs =
                List.of(
                        () -> train(config("attention"), CUDA, 10),
                        () -> train(config("base-conv"), CUDA, 10));
        List<Trained> alone = new ArrayList<>();
        for (var run : runs) {
            alone.add(run.call());
        }
        try (var executor = Executors.newFixedThreadPool(2)) {
            var together = executor.invokeAll(runs);
            for (int i = 0; i < alone.size(); i++) {
                assertThat(together.get(i).get()).isEqualTo(alone.get(i));
            }
        }
    }

    @Test
    void stepsAfterTheFirstEpochAllocateNoDeviceMemory() {
        var config = config("hyena");
        try (var session = TinyRuns.session(config, CUDA);
                var step = new TrainingStep(session, AdamW.Options.withWeightDecay(0.1), 1);
                var data = config.data().trainDataset(RowStorage.MATERIALISED)) {
            for (int i = 0; i < data.batchesPerEpoch(); i++) {
                step.run(data.batch(0, i), 1e-3);
            }
            long allocations = session.device().allocations();
            long live = session.device().info().liveAllocations();
            for (int i = 0; i < data.batchesPerEpoch(); i++) {
                step.run(data.batch(1, i), 1e-3);
            }
            assertThat(session.device().allocations()).isEqualTo(allocations);
            assertThat(session.device().info().liveAllocations()).isEqualTo(live);
        }
    }
}
