package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.task.Batch;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStorage;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a run says when numbers overflow. The model's operations without dropout are: 0 embedding; 1 layer norm,
 * 2 linear, 3 attention, 4 linear, 5 layer norm of the first block; 6 layer norm, 7 rows, 8 linear, 9 linear, 10 attention of
 * rows, 11 linear, 12 rows, 13 layer norm of the second; 14 layer norm; 15 vocabulary loss.
 */
class DivergenceTest {
    private static final TrainConfig CONFIG = config("learning_rate=0.003");

    @TempDir private Path folder;

    @Test
    void anInfiniteWeightIsFoundAtTheOperationThatUsesIt() {
        assertDivergence(
                "operation 11 (linear), forward",
                session ->
                        fill(
                                session,
                                "backbone.layers.1.sequence_mixer.out_proj.weight",
                                Float.POSITIVE_INFINITY));
    }

    @Test
    void aNotANumberInTheEmbeddingIsFoundAtOnce() {
        assertDivergence(
                "operation 0 (embedding), forward",
                session ->
                        fill(session, "backbone.embeddings.position_embeddings.weight", Float.NaN));
    }

    /** Loss and gradients are finite until the first norm behind the tiny embeddings multiplies by 1 / deviation. */
    @Test
    void anOverflowOnTheWayBackIsFoundAtItsOperation() {
        assertDivergence(
                "operation 5 (layer norm), backward",
                session -> {
                    TinyRuns.randomize(session, "lm_head.weight", 1e30);
                    fill(session, "backbone.ln_f.weight", 1e7f);
                    session.parameters().named().keySet().stream()
                            .filter(name -> name.contains("embeddings"))
                            .forEach(name -> TinyRuns.randomize(session, name, 1e-4));
                });
    }

    /** Each row's gradient is finite; only their sum, the gradient of the last norm's parameters, is not. */
    @Test
    void anOverflowInTheGradientOfAParameterAloneIsFoundAtItsOperation() {
        int[] inputs = new int[16 * 16];
        int[] labels = new int[16 * 16];
        Arrays.fill(labels, 3);
        try (var session = TinyRuns.session(CONFIG, 2);
                var step = new TrainingStep(session, AdamW.Options.withWeightDecay(0.1), 1);
                var arena = Arena.ofConfined()) {
            float[] head = new float[64 * 16];
            Arrays.fill(head, 3 * 16, 4 * 16, -3e38f);
            Arrays.fill(head, 5 * 16, 6 * 16, 3e38f);
            session.parameters().load(session.stream(), "lm_head.weight", head);
            fill(session, "backbone.ln_f.weight", 0);
            fill(session, "backbone.ln_f.bias", 1e-10f);
            var batch =
                    new Batch(
                            Mqar.of(16, 2).withVocabSize(64),
                            16,
                            arena.allocateFrom(ValueLayout.JAVA_INT, inputs),
                            arena.allocateFrom(ValueLayout.JAVA_INT, labels));
            assertThatThrownBy(() -> step.run(batch, 1e-3))
                    .isInstanceOf(DivergedException.class)
                    .hasMessageContaining("operation 14 (layer norm), backward");
        }
    }

    /** All gradients are finite and only the sum of their squares is not. */
    @Test
    void anOverflowOfTheNormItselfIsSaidToBeThat() {
        assertDivergence(
                "no single operation shows it: the gradient norm overflows",
                session -> TinyRuns.randomize(session, "lm_head.weight", 1e22));
    }

    @Test
    void anAbsurdLearningRateStopsTheRunAndLeavesTheLastCheckpoint() throws IOException {
        TinyRuns.runUntil(7, CONFIG, folder);
        byte[] before = TinyRuns.checkpoint(folder);
        var absurd = config("learning_rate=1.0e+30");
        assertThatThrownBy(() -> TinyRuns.resumeUntil(1000, absurd, folder))
                .isInstanceOf(DivergedException.class)
                .hasMessageStartingWith("step 9: ")
                .hasMessageContaining("operation 2 (linear), forward");
        assertThat(TinyRuns.checkpoint(folder)).isEqualTo(before);
    }

    private static TrainConfig config(String setting) {
        return TinyRuns.config(
                setting,
                "model.state_mixer=identity",
                "model.dropout=0",
                "model.mixer.dropout=0",
                "model.residual_dropout=0",
                "model.drop_path=0",
                "model.learn_word_embeddings=false");
    }

    /** One change to a model. */
    private interface Damage {
        void to(Session session);
    }

    private static void assertDivergence(String place, Damage damage) {
        try (var session = TinyRuns.session(CONFIG, 2);
                var step = new TrainingStep(session, AdamW.Options.withWeightDecay(0.1), 1);
                var train = CONFIG.data().trainDataset(RowStorage.STREAMED)) {
            step.run(train.batch(0, 0), 1e-3);
            damage.to(session);
            var before = TinyRuns.parameters(session);
            assertThatThrownBy(() -> step.run(train.batch(0, 1), 1e-3))
                    .isInstanceOf(DivergedException.class)
                    .hasMessageStartingWith("step 2: ")
                    .hasMessageContaining(place);
            assertThat(TinyRuns.parameters(session)).isEqualTo(before);
        }
    }

    private static void fill(Session session, String parameter, float value) {
        var values = new float[(int) session.parameters().named().get(parameter).size()];
        Arrays.fill(values, value);
        session.parameters().load(session.stream(), parameter, values);
    }
}
