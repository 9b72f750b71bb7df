package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class DatasetTest {

    private static final List<DataSegment> MIXED =
            List.of(
                    new DataSegment(Mqar.of(64, 4), 70),
                    new DataSegment(Mqar.of(32, 2), 33),
                    new DataSegment(Mqar.of(64, 8), 16));
    private static final long SEED = 123;

    private static Dataset dataset(BatchOrder order, RowStorage storage) {
        return new Dataset(MIXED, SEED, Split.TRAIN, 16, order, storage);
    }

    private static List<String> rows(Batch batch) {
        int length = batch.length();
        int[] inputs = batch.inputArray();
        int[] labels = batch.labelArray();
        return IntStream.range(0, batch.rows())
                .mapToObj(row ->
                        Arrays.toString(
                                        Arrays.copyOfRange(
                                                inputs, row * length, (row + 1) * length))
                                + Arrays.toString(
                                        Arrays.copyOfRange(
                                                labels, row * length, (row + 1) * length)))
                .toList();
    }

    private static List<List<String>> epoch(Dataset dataset, int epoch) {
        var batches = new ArrayList<List<String>>();
        for (int index = 0; index < dataset.batchesPerEpoch(); index++) {
            batches.add(rows(dataset.batch(epoch, index)));
        }
        return batches;
    }

    @Test
    void fixedOrderVisitsSegmentAfterSegmentAndRowAfterRow() {
        try (var dataset = dataset(BatchOrder.FIXED, RowStorage.STREAMED)) {
            var expected = new ArrayList<String>();
            int[] sizes = new int[dataset.batchesPerEpoch()];
            for (int segment = 0; segment < MIXED.size(); segment++) {
                TaskConfig task = MIXED.get(segment).task();
                int[] inputs = new int[task.length()];
                int[] labels = new int[task.length()];
                for (int row = 0; row < MIXED.get(segment).examples(); row++) {
                    task.generator(new RowStream(SEED, Split.TRAIN, segment))
                            .row(row, inputs, labels);
                    expected.add(Arrays.toString(inputs) + Arrays.toString(labels));
                }
            }
            for (int index = 0; index < sizes.length; index++) {
                sizes[index] = dataset.batch(0, index).rows();
            }
            assertThat(sizes).containsExactly(16, 16, 16, 16, 6, 16, 16, 1, 16);
            assertThat(epoch(dataset, 0).stream().flatMap(List::stream))
                    .containsExactlyElementsOf(expected);
            assertThat(epoch(dataset, 5)).isEqualTo(epoch(dataset, 0));
            assertThat(dataset.examples()).isEqualTo(119);
        }
    }

    @Test
    void shufflingVisitsTheSameRowsInAnotherOrderEachEpoch() {
        try (var fixed = dataset(BatchOrder.FIXED, RowStorage.STREAMED);
                var shuffled = dataset(BatchOrder.SHUFFLED, RowStorage.STREAMED)) {
            var all = epoch(fixed, 0).stream().flatMap(List::stream).toList();
            var first = epoch(shuffled, 0);
            var second = epoch(shuffled, 1);
            assertThat(first.stream().flatMap(List::stream))
                    .containsExactlyInAnyOrderElementsOf(all);
            assertThat(second.stream().flatMap(List::stream))
                    .containsExactlyInAnyOrderElementsOf(all);
            assertThat(first.stream().flatMap(List::stream).toList()).isNotEqualTo(all);
            assertThat(second).isNotEqualTo(first).isNotEqualTo(epoch(fixed, 0));
            assertThat(first.stream().map(List::size).toList())
                    .isNotEqualTo(second.stream().map(List::size).toList());
        }
    }

    /** Tokens of two bytes and of four. */
    @ParameterizedTest
    @ValueSource(ints = {32_767, 32_768, 100_000})
    void storedTokensAreThoseOfLargeVocabularies(int vocabSize) {
        var segments = List.of(new DataSegment(Mqar.of(64, 8).withVocabSize(vocabSize), 40));
        try (var streamed = dataset(segments, RowStorage.STREAMED);
                var stored = dataset(segments, RowStorage.MATERIALISED)) {
            assertThat(epoch(stored, 0)).isEqualTo(epoch(streamed, 0));
            int largest = Arrays.stream(stored.batch(0, 0).inputArray()).max().orElseThrow();
            assertThat(largest).isGreaterThan(vocabSize - vocabSize / 50).isLessThan(vocabSize);
        }
    }

    private static Dataset dataset(List<DataSegment> segments, RowStorage storage) {
        return new Dataset(segments, SEED, Split.TRAIN, 40, BatchOrder.FIXED, storage);
    }

    @ParameterizedTest
    @EnumSource(BatchOrder.class)
    void materialisedAndStreamedBatchesAreTheSame(BatchOrder order) {
        try (var streamed = dataset(order, RowStorage.STREAMED);
                var stored = dataset(order, RowStorage.MATERIALISED)) {
            for (int epoch = 0; epoch < 3; epoch++) {
                assertThat(epoch(stored, epoch)).isEqualTo(epoch(streamed, epoch));
            }
        }
    }

    @Test
    void aRunResumesAtAnyBatch() {
        try (var dataset = dataset(BatchOrder.SHUFFLED, RowStorage.STREAMED)) {
            for (int epoch = 0; epoch < 4; epoch++) {
                epoch(dataset, epoch);
            }
            var whole = epoch(dataset, 4);
            for (int index = dataset.batchesPerEpoch() - 1; index >= 0; index--) {
                try (var resumed = dataset(BatchOrder.SHUFFLED, RowStorage.MATERIALISED)) {
                    assertThat(rows(resumed.batch(4, index))).isEqualTo(whole.get(index));
                }
            }
        }
    }

    @Test
    void batchesNeverMixSegmentsAndCarryTheirTags() {
        try (var dataset = dataset(BatchOrder.SHUFFLED, RowStorage.STREAMED)) {
            for (int index = 0; index < dataset.batchesPerEpoch(); index++) {
                Batch batch = dataset.batch(0, index);
                assertThat(batch.inputs().byteSize()).isEqualTo(4L * batch.rows() * batch.length());
                assertThat(batch.inputs().isNative()).isTrue();
                assertThat(batch.inputs().address() % 64).isZero();
                int[] inputs = batch.inputArray();
                int[] labels = batch.labelArray();
                int length = batch.length();
                for (int row = 0; row < batch.rows(); row++) {
                    assertThat(
                                    batch.task()
                                            .verify(
                                                    Arrays.copyOfRange(
                                                            inputs,
                                                            row * length,
                                                            (row + 1) * length),
                                                    Arrays.copyOfRange(
                                                            labels,
                                                            row * length,
                                                            (row + 1) * length)))
                            .isEmpty();
                }
                Mqar task = (Mqar) batch.task();
                assertThat(batch.slices())
                        .isEqualTo(
                                Map.of(
                                        "num_kv_pairs",
                                        task.pairs(),
                                        "input_seq_len",
                                        length,
                                        "num_passes",
                                        1));
            }
        }
    }

    @Test
    void aSplitDoesNotDependOnTheOthersOrOnHowManyRowsFollow() {
        var small = new DataConfig(MIXED.subList(0, 1), List.of(), MIXED, 1);
        var large = new DataConfig(MIXED, MIXED, MIXED, 1);
        assertThat(firstBatch(small, Split.TEST)).isEqualTo(firstBatch(large, Split.TEST));
        assertThat(firstBatch(small, Split.TRAIN)).isEqualTo(firstBatch(large, Split.TRAIN));
        assertThat(firstBatch(large, Split.VALIDATION))
                .doesNotContainAnyElementsOf(firstBatch(large, Split.TEST))
                .doesNotContainAnyElementsOf(firstBatch(large, Split.TRAIN));
        var longer =
                new DataConfig(List.of(new DataSegment(Mqar.of(64, 4), 1000)), List.of(), MIXED, 1);
        assertThat(firstBatch(longer, Split.TRAIN)).isEqualTo(firstBatch(small, Split.TRAIN));
    }

    private static List<String> firstBatch(DataConfig config, Split split) {
        try (var dataset = config.dataset(split, 16, BatchOrder.FIXED, RowStorage.STREAMED)) {
            return rows(dataset.batch(0, 0));
        }
    }

    @Test
    void aConfigurationCoversAllItsSegments() {
        var wide = new DataSegment(Mqar.of(128, 8).withVocabSize(9000), 1);
        var config = new DataConfig(MIXED, List.of(), List.of(wide), 1);
        assertThat(config.vocabSize()).isEqualTo(9000);
        assertThat(config.maxLength()).isEqualTo(128);
    }

    @Test
    void impossibleRequestsAreRefused() {
        assertThatThrownBy(() -> new DataSegment(Mqar.of(64, 4), 0))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("0 examples of mqar");
        assertThatThrownBy(() -> new DataConfig(List.of(), List.of(), MIXED, 1))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("no train data");
        assertThatThrownBy(() -> new DataConfig(MIXED, List.of(), List.of(), 1))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("no test data");
        assertThatThrownBy(() ->
                        new Dataset(MIXED, 1, Split.TEST, 0, BatchOrder.FIXED, RowStorage.STREAMED))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("--batch 0");
        try (var dataset = dataset(BatchOrder.SHUFFLED, RowStorage.STREAMED)) {
            assertThatThrownBy(() -> dataset.batch(0, 9))
                    .isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> dataset.batch(-1, 0))
                    .isInstanceOf(IndexOutOfBoundsException.class);
        }
    }
}
