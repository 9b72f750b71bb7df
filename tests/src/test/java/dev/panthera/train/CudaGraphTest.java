package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.kernels.DeviceGraph;
import dev.panthera.task.Batch;
import dev.panthera.task.Dataset;
import dev.panthera.task.RowStorage;
import dev.panthera.task.TaskConfig;
import dev.panthera.testing.CudaTest;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A whole step of training, recorded once and replayed: forward, loss, backward, gradient norm and optimizer, with other
 * inputs, labels, numbers of labels, dropout and learning rate in each step.
 */
@CudaTest
class CudaGraphTest {

    private static final DeviceChoice CUDA = new DeviceChoice("cuda:0", 0);

    /** The first runs without a graph, since it is what allocates. */
    private static final double[] LEARNING_RATES = {3e-3, 1e-2, 1e-3, 0, 5e-3};

    private final Arena arena = Arena.ofShared();

    @AfterEach
    void close() {
        arena.close();
    }

    @ParameterizedTest
    @CsvSource({
        "attention, cross-entropy",
        "'{name: attention, heads: 2, rotary: true}', mse",
        "sliding-attention, cross-entropy-embeddings",
        "base-conv, cross-entropy",
        "hyena, cross-entropy",
        "'{name: selected-attention, k: 2, selection: {name: learned, hard: true, noise: 1}}', cross-entropy",
        "'{name: selected-attention, k: 2, selection: programmatic}', cross-entropy",
        "'{name: selected-attention, k: 2, selection: random}', cross-entropy",
        "sigmoid-lookups, cross-entropy",
        "selective-lookups, cross-entropy",
        "'{name: nystrom, landmarks: 3}', cross-entropy",
        "'{name: bigbird, block_size: 1}', cross-entropy",
        "'{name: scatterbrain, window: 4, features: 8}', cross-entropy",
        "'{name: mra, blocks_per_row: 1, block_size: 2}', cross-entropy",
        "'{name: mra, blocks_per_row: 1, block_size: 2, diagonal_blocks: 1, causal: false}', cross-entropy",
        "'{name: nsa, window: 4, block_size: 3, selected_blocks: 2}', cross-entropy",
        "'{name: nsa, window: 4, block_size: 3, selected_blocks: 2, causal: false}', cross-entropy"
    })
    void aReplayedStepIsTheStepItselfInEveryBit(String mixer, String minimised) {
        var config = config(mixer, "loss=" + minimised);
        try (var data = config.data().trainDataset(RowStorage.MATERIALISED);
                var eager = new Trained(config);
                var replayed = new Trained(config)) {
            List<Batch> batches = batches(data);
            int capacity = capacity(batches.getFirst());
            replayed.step(batches.getFirst(), capacity, LEARNING_RATES[0]);
            eager.step(batches.getFirst(), capacity, LEARNING_RATES[0]);
            var loaded = replayed.session.loadLabelled(batches.getFirst(), capacity);
            try (DeviceGraph graph =
                    replayed.session.stream().capture(() -> replayed.step.compute(loaded))) {
                for (int i = 1; i < LEARNING_RATES.length; i++) {
                    float expected = eager.step(batches.get(i), capacity, LEARNING_RATES[i]);
                    float loss =
                            replayed.replay(graph, batches.get(i), capacity, LEARNING_RATES[i]);
                    assertThat(loss).as("loss of step %d", i).isEqualTo(expected);
                    assertThat(TinyRuns.parameters(replayed.session))
                            .as("parameters after step %d", i)
                            .isEqualTo(TinyRuns.parameters(eager.session));
                }
            }
        }
    }

    /** The device itself leaves out the optimizer's step, as the host cannot look into a replay. */
    @Test
    void aReplayedStepThatDivergesChangesNoParameter() {
        var config = config("attention");
        try (var data = config.data().trainDataset(RowStorage.MATERIALISED);
                var trained = new Trained(config)) {
            Batch batch = data.batch(0, 0);
            int capacity = capacity(batch);
            trained.step(batch, capacity, 1e-3);
            var loaded = trained.session.loadLabelled(batch, capacity);
            try (DeviceGraph graph =
                    trained.session.stream().capture(() -> trained.step.compute(loaded))) {
                trained.replay(graph, batch, capacity, 1e-3);
                TinyRuns.randomize(trained.session, "backbone.ln_f.weight", 1e30);
                var before = TinyRuns.parameters(trained.session);
                assertThatThrownBy(() -> trained.replay(graph, batch, capacity, 1e-3))
                        .isInstanceOf(DivergedException.class)
                        .hasMessageStartingWith("step 3: ");
                assertThat(TinyRuns.parameters(trained.session)).isEqualTo(before);
            }
        }
    }

    @Test
    void moreLabelsThanThereIsRoomForAreRefused() {
        var config = config("attention");
        try (var data = config.data().trainDataset(RowStorage.MATERIALISED);
                var trained = new Trained(config)) {
            Batch batch = data.batch(0, 0);
            assertThatThrownBy(() -> trained.session.loadLabelled(batch, capacity(batch) - 1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("there is room for " + (capacity(batch) - 1));
        }
    }

    /** A model on the device with its training step. */
    private static final class Trained implements AutoCloseable {
        private final Session session;
        private final TrainingStep step;

        Trained(TrainConfig config) {
            session = TinyRuns.session(config, CUDA);
            step = new TrainingStep(session, AdamW.Options.withWeightDecay(0.1), 1);
        }

        float step(Batch batch, int capacity, double learningRate) {
            var loaded = session.loadLabelled(batch, capacity);
            step.begin(learningRate);
            step.compute(loaded);
            return step.finish(loaded);
        }

        float replay(DeviceGraph graph, Batch batch, int capacity, double learningRate) {
            var loaded = session.loadLabelled(batch, capacity);
            step.begin(learningRate);
            graph.launch(session.stream());
            return step.finish(loaded);
        }

        @Override
        public void close() {
            step.close();
            session.close();
        }
    }

    private static TrainConfig config(String mixer, String... settings) {
        return TinyRuns.config(
                Stream.concat(
                                Stream.of(
                                        "model.mixer=" + mixer,
                                        "data.batch=4",
                                        "data.train=[{task: {length: 16, pairs: 2}, examples: 40}]"),
                                Stream.of(settings))
                        .toArray(String[]::new));
    }

    /** One for each step: all labels, all but one, one, none, and all again. */
    private List<Batch> batches(Dataset data) {
        int all = capacity(data.batch(0, 0));
        int[] kept = {all, all - 1, 1, 0, all};
        List<Batch> batches = new ArrayList<>();
        for (int i = 0; i < kept.length; i++) {
            batches.add(withLabels(data.batch(0, i), kept[i]));
        }
        return batches;
    }

    private Batch withLabels(Batch batch, int kept) {
        int[] labels = batch.labelArray();
        int seen = 0;
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] != TaskConfig.IGNORE && seen++ >= kept) {
                labels[i] = TaskConfig.IGNORE;
            }
        }
        return new Batch(
                batch.task(),
                batch.rows(),
                arena.allocateFrom(ValueLayout.JAVA_INT, batch.inputArray()),
                arena.allocateFrom(ValueLayout.JAVA_INT, labels));
    }

    private static int capacity(Batch batch) {
        return (int)
                Arrays.stream(batch.labelArray())
                        .filter(label -> label != TaskConfig.IGNORE)
                        .count();
    }
}
