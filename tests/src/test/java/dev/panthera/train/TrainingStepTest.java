package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.task.Batch;
import dev.panthera.task.Mqar;
import dev.panthera.task.TaskConfig;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Labels at the edges of what a batch can hold. */
class TrainingStepTest {
    private static final int ROWS = 3;
    private static final int LENGTH = 16;
    private static final TaskConfig TASK = Mqar.of(LENGTH, 2).withVocabSize(64);
    private static final TrainConfig CONFIG =
            TinyRuns.config(
                    "weight_decay=0",
                    "model.dropout=0",
                    "model.mixer.dropout=0",
                    "model.residual_dropout=0",
                    "model.drop_path=0");

    @Test
    void aBatchWithoutLabelsHasLossZeroAndChangesNothing() {
        try (var session = TinyRuns.session(CONFIG, 2);
                var step = new TrainingStep(session, AdamW.Options.withWeightDecay(0), 1);
                var arena = Arena.ofConfined()) {
            var before = TinyRuns.parameters(session);
            assertThat(step.run(batch(arena, -1, 0), 1e-2)).isZero();
            assertThat(TinyRuns.parameters(session)).isEqualTo(before);
        }
    }

    /** An untrained model gives every token about the same probability, wherever the label is and whatever it says. */
    @ParameterizedTest
    @CsvSource({"0, 0", "0, 63", "15, 1", "47, 63", "47, 0"})
    void oneLabelAnywhereIsTheMean(int position, int label) {
        try (var session = TinyRuns.session(CONFIG, 2);
                var step = new TrainingStep(session, AdamW.Options.withWeightDecay(0), 1);
                var arena = Arena.ofConfined()) {
            Batch batch = batch(arena, position, label);
            float first = step.run(batch, 1e-2);
            assertThat((double) first).isCloseTo(Math.log(64), within(0.5));
            float last = first;
            for (int i = 0; i < 20; i++) {
                last = step.run(batch, 1e-2);
            }
            assertThat(last).isLessThan(first / 10);
        }
    }

    private static Batch batch(Arena arena, int position, int label) {
        int[] inputs = new int[ROWS * LENGTH];
        int[] labels = new int[ROWS * LENGTH];
        Arrays.setAll(inputs, i -> i % 64);
        Arrays.fill(labels, TaskConfig.IGNORE);
        if (position >= 0) {
            labels[position] = label;
        }
        return new Batch(
                TASK,
                ROWS,
                arena.allocateFrom(ValueLayout.JAVA_INT, inputs),
                arena.allocateFrom(ValueLayout.JAVA_INT, labels));
    }
}
