package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ContinuousMqarTest {

    @Property
    void everyRowIsARowOfTheTask(
            @ForAll @IntRange(min = 1, max = 20) int pairs,
            @ForAll @IntRange(min = 1, max = 3) int passes,
            @ForAll @IntRange(max = 50) int spareVocab,
            @ForAll boolean shared,
            @ForAll long seed,
            @ForAll @LongRange(min = 0) long index) {
        var task = new ContinuousMqar(2 * pairs + spareVocab, pairs, passes, shared);
        var row = Row.of(task, new RowStream(seed, Split.TEST, 3), index);
        assertThat(row.problem()).isEmpty();
        for (int position = task.contextLength(); position < task.length(); position++) {
            int shown = position - task.answerDistance(row.inputs(), position);
            assertThat(shown).isBetween(task.contextLength() - pairs, task.contextLength() - 1);
            assertThat(row.inputs()[2 * shown]).isEqualTo(row.inputs()[2 * position]);
            assertThat(row.inputs()[2 * shown + 1] - task.vocabSize() / 2)
                    .isEqualTo(row.labels()[position]);
        }
        assertThat(Arrays.stream(row.labels()).filter(label -> label != TaskConfig.IGNORE))
                .hasSize(task.labelsPerRow());
    }

    /** Of 8 possible keys, each is in half of the rows of 4; the same for values, and for who stands where. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void keysValuesAndOrdersAreUniform(boolean shared) {
        int rows = 4000;
        var task = new ContinuousMqar(17, 4, 2, shared);
        int[] tokens = new int[17];
        int[] repeats = new int[3];
        for (int index = 0; index < rows; index++) {
            int[] inputs = Row.of(task, Row.STREAM, index).inputs();
            for (int i = 0; i < 8; i++) {
                tokens[inputs[i]]++;
            }
            for (int pass = 0; pass < 2; pass++) {
                repeats[pass] += inputs[0] == inputs[8 * (pass + 1)] ? 1 : 0;
            }
        }
        for (int key = 0; key < 8; key++) {
            assertThat(tokens[key] / (double) rows).isCloseTo(0.5, within(0.04));
        }
        int possible = shared ? 8 : 9;
        assertThat(IntStream.range(8, 17).filter(value -> tokens[value] > 0).count())
                .isEqualTo(possible);
        for (int value = 8; value < 17; value++) {
            if (tokens[value] > 0) {
                assertThat(tokens[value] / (double) rows).isCloseTo(4.0 / possible, within(0.04));
            }
        }
        assertThat(repeats[0] / (double) rows).isCloseTo(0.25, within(0.04));
        assertThat(repeats[1] / (double) rows).isCloseTo(0.25, within(0.04));
    }

    @Test
    void aSharedMappingHoldsInAllRowsAndSplitsAndOnlyThere() {
        var task = new ContinuousMqar(33, 5, 1, true);
        Map<Integer, Set<Integer>> values = new HashMap<>();
        for (Split split : Split.values()) {
            collect(task, new RowStream(123, split, split.code()), values);
        }
        assertThat(values).hasSize(16).allSatisfy((key, found) -> assertThat(found).hasSize(1));
        assertThat(values.values().stream().distinct()).hasSize(16);

        Map<Integer, Set<Integer>> others = new HashMap<>();
        collect(task, new RowStream(124, Split.TRAIN, 0), others);
        assertThat(others).isNotEqualTo(values);

        Map<Integer, Set<Integer>> own = new HashMap<>();
        collect(new ContinuousMqar(33, 5, 1, false), Row.STREAM, own);
        assertThat(own).allSatisfy((key, found) -> assertThat(found).hasSizeGreaterThan(10));
    }

    private static void collect(
            ContinuousMqar task, RowStream stream, Map<Integer, Set<Integer>> values) {
        for (int index = 0; index < 200; index++) {
            int[] inputs = Row.of(task, stream, index).inputs();
            for (int i = 0; i < 2 * task.contextLength(); i += 2) {
                values.computeIfAbsent(inputs[i], key -> new HashSet<>()).add(inputs[i + 1]);
            }
        }
    }

    /** Two passes over (1, 9) and (3, 8), then both keys: what is changed, and what the oracle says. */
    @ParameterizedTest
    @CsvSource({
        "0, 5, 9, position 2: key 1 occurs twice",
        "0, 8, 1, position 0: key 8 is out of range",
        "0, 1, 8, position 1: value 8 occurs with two keys",
        "0, 1, 3, position 0: value 3 is out of range",
        "2, 1, 10, position 2: key 1 has value 10",
        "2, 3, 8, position 3: key 3 occurs twice",
        "4, 3, 9, position 4: a query has a value",
        "4, 1, 16, position 4: label 0, expected 1"
    })
    void wrongInputsAreFound(int position, int key, int value, String problem) {
        var task = new ContinuousMqar(16, 2, 2, false);
        int[] inputs = {1, 9, 3, 8, 1, 9, 3, 8, 3, 16, 1, 16};
        int[] labels = {-100, -100, -100, -100, 0, 1};
        assertThat(task.verify(inputs, labels)).isEmpty();
        inputs[2 * position] = key;
        inputs[2 * position + 1] = value;
        assertThat(task.verify(inputs, labels).orElse("")).startsWith(problem);
    }

    @ParameterizedTest
    @CsvSource({"0, 1, position 0: ", "4, 1, position 4: ", "5, -100, position 5: "})
    void wrongLabelsAreFound(int position, int label, String problem) {
        var task = new ContinuousMqar(16, 2, 2, false);
        int[] inputs = {1, 9, 3, 8, 1, 9, 3, 8, 3, 16, 1, 16};
        int[] labels = {-100, -100, -100, -100, 0, 1};
        labels[position] = label;
        assertThat(task.verify(inputs, labels).orElse("")).startsWith(problem);
        assertThat(task.verify(new int[6], labels).orElse("")).contains("expected 12 and 6");
    }

    /** Nothing has the number of the vocabulary, which two bytes must still hold. */
    @ParameterizedTest
    @ValueSource(ints = {64, 32_767, 32_768, 70_000})
    void batchesHoldTwoIdsAPosition(int vocabSize) {
        var task = ContinuousMqar.of(3).withVocabSize(vocabSize);
        var segments = List.of(new DataSegment(task, 5), new DataSegment(task, 3));
        for (RowStorage storage : RowStorage.values()) {
            try (var dataset =
                    new Dataset(segments, 1, Split.TRAIN, 4, BatchOrder.FIXED, storage)) {
                for (int index = 0; index < dataset.batchesPerEpoch(); index++) {
                    Batch batch = dataset.batch(0, index);
                    int[] inputs = batch.inputArray();
                    int[] labels = batch.labelArray();
                    assertThat(inputs).hasSize(12 * batch.rows());
                    assertThat(labels).hasSize(6 * batch.rows());
                    for (int row = 0; row < batch.rows(); row++) {
                        assertThat(
                                        task.verify(
                                                Arrays.copyOfRange(inputs, 12 * row, 12 * row + 12),
                                                Arrays.copyOfRange(labels, 6 * row, 6 * row + 6)))
                                .isEmpty();
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "16, 0, 1, --pairs 0",
        "16, 4, 0, --passes 0",
        "7, 4, 1, --vocab 7",
        "100000, 40000, 40000, --passes 40000"
    })
    void impossibleOptionsAreRefused(int vocabSize, int pairs, int passes, String message) {
        assertThatThrownBy(() -> new ContinuousMqar(vocabSize, pairs, passes, false))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith(message);
    }

    @Test
    void vectorsNeedTheSameKindAndVocabularyInAllSegments() {
        var vectors = new DataSegment(ContinuousMqar.of(4), 1);
        var tokens = new DataSegment(Mqar.of(64, 4), 1);
        var wider = new DataSegment(ContinuousMqar.of(4).withVocabSize(9000), 1);
        assertThatThrownBy(() -> new DataConfig(List.of(vectors), List.of(), List.of(tokens), 1))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("continuous-mqar and mqar");
        assertThatThrownBy(
                        () -> new DataConfig(List.of(vectors), List.of(wider), List.of(vectors), 1))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith("--vocab 8192 and 9000");
    }
}
