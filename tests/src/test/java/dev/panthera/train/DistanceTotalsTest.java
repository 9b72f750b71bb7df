package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.task.Batch;
import dev.panthera.task.RowGenerator;
import dev.panthera.task.RowStream;
import dev.panthera.task.TaskConfig;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Rows made by hand, of a task whose tokens are the distances that they ask for; token 0 has none. */
class DistanceTotalsTest {
    private static final int NONE = TaskConfig.IGNORE;

    private record Distances(int length) implements TaskConfig {
        @Override
        public String name() {
            return "distances";
        }

        @Override
        public int vocabSize() {
            return 1000;
        }

        @Override
        public int labelsPerRow() {
            return length;
        }

        @Override
        public Map<String, Integer> slices() {
            return Map.of();
        }

        @Override
        public int answerDistance(int[] inputs, int position) {
            return inputs[position] == 0 ? NO_DISTANCE : inputs[position];
        }

        @Override
        public RowGenerator generator(RowStream stream) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Optional<String> verify(int[] inputs, int[] labels) {
            return Optional.empty();
        }
    }

    private static void add(
            DistanceTotals totals, int length, int[] inputs, int[] labels, int... predicted) {
        var batch =
                new Batch(
                        new Distances(length),
                        inputs.length / length,
                        direct(inputs),
                        direct(labels));
        totals.add(batch, labels, predicted);
    }

    private static MemorySegment direct(int[] values) {
        return MemorySegment.ofArray(values);
    }

    @Test
    void eachPositionCountsInTheBucketWithTheNextPowerOfTwo() {
        var totals = new DistanceTotals();
        int[] distances = {1, 2, 3, 4, 5, 8, 9, 513};
        int[] labels = {7, 7, 7, 7, 7, 7, 7, 7};
        add(totals, 8, distances, labels, 7, 0, 7, 0, 0, 0, 7, 7);
        assertThat(totals.accuracies())
                .isEqualTo(Map.of(1, 1.0, 2, 0.0, 4, 0.5, 8, 0.0, 16, 1.0, 1024, 1.0));
    }

    /** Predictions are those of labelled positions alone, over all rows and with or without a distance. */
    @Test
    void predictionsAreMatchedToLabelsAcrossRowsOfSeveralLengths() {
        var totals = new DistanceTotals();
        add(
                totals,
                3,
                new int[] {2, 2, 0, 2, 4, 2},
                new int[] {NONE, 5, 6, NONE, 7, NONE},
                5,
                6,
                0);
        add(totals, 2, new int[] {4, 2}, new int[] {8, 9}, 8, 0);
        assertThat(totals.accuracies()).isEqualTo(Map.of(2, 0.5, 4, 0.5));
    }

    @Test
    void aTaskWithoutDistancesHasNoBuckets() {
        var totals = new DistanceTotals();
        add(totals, 2, new int[] {0, 0}, new int[] {3, 4}, 3, 4);
        assertThat(totals.any()).isFalse();
        assertThat(totals.accuracies()).isEmpty();
    }
}
