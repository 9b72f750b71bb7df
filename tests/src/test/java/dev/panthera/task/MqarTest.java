package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class MqarTest {

    private static final RowStream STREAM = new RowStream(123, Split.TRAIN, 0);

    private record Row(int[] inputs, int[] labels) {
        static Row of(TaskConfig task, RowStream stream, long index) {
            int[] inputs = new int[task.length()];
            int[] labels = new int[task.length()];
            task.generator(stream).row(index, inputs, labels);
            return new Row(inputs, labels);
        }
    }

    @Property
    void everyRowIsARowOfTheTask(
            @ForAll @IntRange(min = 1, max = 20) int pairs,
            @ForAll @IntRange(min = 1, max = 3) int passes,
            @ForAll @IntRange(max = 30) int spareSlots,
            @ForAll @IntRange(min = 1, max = 50) int spareVocab,
            @ForAll Filler filler,
            @ForAll long seed,
            @ForAll @LongRange(min = 0) long index) {
        int length = 2 * pairs * passes + 2 * pairs + 2 * spareSlots;
        var task = new Mqar(length + spareVocab, length, pairs, 0.01, filler, passes);
        var row = Row.of(task, new RowStream(seed, Split.TEST, 3), index);
        assertThat(task.verify(row.inputs, row.labels)).isEmpty();
        assertThat(Arrays.stream(row.labels).filter(label -> label != TaskConfig.IGNORE))
                .hasSize(pairs);
    }

    /** Two passes over (5, 21), (7, 30); then 5 as a filler, 7 asked, 5 as a filler, 5 asked. */
    @Test
    void theDistanceOfAQueryIsToItsKeyInTheLastPass() {
        var task = new Mqar(40, 16, 2, 0.01, Filler.RANDOM, 2);
        int[] inputs = {5, 21, 7, 30, 5, 21, 7, 30, 9, 5, 7, 3, 5, 5, 5, 0};
        assertThat(task.answerDistance(inputs, 10)).isEqualTo(4);
        assertThat(task.answerDistance(inputs, 14)).isEqualTo(10);
        assertThat(task.answerDistance(inputs, 11)).isEqualTo(TaskConfig.NO_DISTANCE);
    }

    @Property
    void whatStandsAtTheDistanceOfAQueryIsItsPair(
            @ForAll @IntRange(min = 1, max = 20) int pairs,
            @ForAll @IntRange(min = 1, max = 3) int passes,
            @ForAll @IntRange(max = 30) int spareSlots,
            @ForAll Filler filler,
            @ForAll long seed) {
        int length = 2 * pairs * passes + 2 * pairs + 2 * spareSlots;
        var task = new Mqar(length + 1, length, pairs, 0.5, filler, passes);
        var row = Row.of(task, new RowStream(seed, Split.TEST, 0), 0);
        for (int position = 0; position < length; position++) {
            if (row.labels[position] != TaskConfig.IGNORE) {
                int shown = position - task.answerDistance(row.inputs, position);
                assertThat(shown)
                        .isBetween(task.contextLength() - 2 * pairs, task.contextLength() - 2);
                assertThat(row.inputs[shown]).isEqualTo(row.inputs[position]);
                assertThat(row.inputs[shown + 1]).isEqualTo(row.labels[position]);
            }
        }
    }

    /** These tokens are part of the definition of every published data set: they never change. */
    @Test
    void theFirstRowOfASeedNeverChanges() {
        var row = Row.of(new Mqar(64, 10, 2, 0.01, Filler.RANDOM, 1), STREAM, 0);
        assertThat(row.inputs).containsExactly(14, 43, 2, 45, 14, 63, 2, 29, 33, 40);
        assertThat(row.labels)
                .containsExactly(-100, -100, -100, -100, 43, -100, 45, -100, -100, -100);
    }

    @Test
    void aRowDependsOnSeedSplitSegmentAndIndexAlone() {
        var task = Mqar.of(64, 4);
        var generator = task.generator(STREAM);
        int[] inputs = new int[64];
        int[] labels = new int[64];
        for (long index : new long[] {7, 3, 1_000_000_007L, 0, 3, 7}) {
            generator.row(index, inputs, labels);
            assertThat(inputs).as("row %d", index).isEqualTo(Row.of(task, STREAM, index).inputs);
        }
        assertThat(
                        Stream.of(
                                        STREAM,
                                        new RowStream(124, Split.TRAIN, 0),
                                        new RowStream(123, Split.VALIDATION, 0),
                                        new RowStream(123, Split.TEST, 0),
                                        new RowStream(123, Split.TRAIN, 1))
                                .map(stream -> Arrays.toString(Row.of(task, stream, 7).inputs))
                                .distinct())
                .hasSize(5);
    }

    @Test
    void fillersChangeNeitherPairsNorQueries() {
        var random = Mqar.of(128, 8);
        var zero = random.withFiller(Filler.ZERO);
        for (long index = 0; index < 100; index++) {
            var a = Row.of(random, STREAM, index);
            var b = Row.of(zero, STREAM, index);
            assertThat(a.labels).isEqualTo(b.labels);
            for (int position = 0; position < 128; position++) {
                assertThat(b.inputs[position]).isIn(0, a.inputs[position]);
            }
        }
    }

    @Test
    void severalPassesRepeatThePairsBeforeTheQueries() {
        var row = Row.of(Mqar.of(64, 4).withPasses(3).withFiller(Filler.ZERO), STREAM, 5);
        int[] first = Arrays.copyOfRange(row.inputs, 0, 8);
        assertThat(Arrays.copyOfRange(row.inputs, 8, 16)).isEqualTo(first);
        assertThat(Arrays.copyOfRange(row.inputs, 16, 24)).isEqualTo(first);
        assertThat(Arrays.copyOfRange(row.labels, 0, 24)).containsOnly(TaskConfig.IGNORE);
        assertThat(IntStream.range(24, 64).filter(position -> row.inputs[position] != 0))
                .hasSize(4);
    }

    @Test
    void keysValuesAndFillersAreUniform() {
        int vocab = 20;
        int rows = 40_000;
        var task = new Mqar(vocab, 16, 2, 0.01, Filler.RANDOM, 1);
        int[] keys = new int[vocab];
        int[] values = new int[vocab];
        int[] fillers = new int[vocab];
        int[] inputs = new int[16];
        int[] labels = new int[16];
        var generator = task.generator(STREAM);
        for (int row = 0; row < rows; row++) {
            generator.row(row, inputs, labels);
            keys[inputs[0]]++;
            keys[inputs[2]]++;
            values[inputs[1]]++;
            values[inputs[3]]++;
            fillers[inputs[15]]++;
        }
        assertThat(Arrays.stream(keys, 1, 10))
                .allMatch(count -> Math.abs(count - 2.0 * rows / 9) < 500);
        assertThat(Arrays.stream(values, 10, 20))
                .allMatch(count -> Math.abs(count - 2.0 * rows / 10) < 500);
        assertThat(Arrays.stream(fillers)).allMatch(count -> Math.abs(count - rows / 20.0) < 250);
    }

    @ParameterizedTest
    @CsvSource({
        "64,4,28,.251,3",
        "128,8,56,.213,5",
        "256,16,112,.185,7",
        "512,64,192,.167,10",
        "64,8,24,.261,3",
        "64,16,16,.292,2",
        "128,32,32,.243,3",
        "256,64,64,.207,5",
        "512,128,128,.180,8",
        "1024,256,256,.159,12"
    })
    void slotProbabilitiesHaveThePublishedFirstSlotAndMedian(
            int length, int pairs, int slots, double first, int median) {
        double[] probabilities = Mqar.of(length, pairs).slotProbabilities();
        assertThat(probabilities).hasSize(slots);
        assertThat(Arrays.stream(probabilities).sum()).isCloseTo(1, within(1e-12));
        assertThat(probabilities[0]).isCloseTo(first, within(6e-4));
        double sum = 0;
        int index = -1;
        while (sum < 0.5) {
            sum += probabilities[++index];
        }
        assertThat(index).isEqualTo(median);
    }

    @Test
    void powerOneIsUniform() {
        assertThat(Mqar.of(64, 4).withPowerA(1).slotProbabilities()).containsOnly(1 / 28.0);
    }

    static Stream<Arguments> impossible() {
        return Stream.of(
                Arguments.of(
                        8192,
                        63,
                        4,
                        0.01,
                        1,
                        "--length 63: MQAR places queries in pairs, so the length must be even; try 64"),
                Arguments.of(8192, 2, 4, 0.01, 1, "--length 2: the shortest"),
                Arguments.of(8192, 64, 0, 0.01, 1, "--pairs 0"),
                Arguments.of(8192, 64, 4, 0.01, 0, "--passes 0"),
                Arguments.of(8192, 64, 17, 0.01, 1, "need 68 positions; try --length 68"),
                Arguments.of(8192, 64, 16, 0.01, 2, "need 96 positions"),
                Arguments.of(
                        8192,
                        64,
                        Integer.MAX_VALUE,
                        0.01,
                        Integer.MAX_VALUE,
                        "need 9223372032559808512 positions"),
                Arguments.of(
                        64,
                        64,
                        4,
                        0.01,
                        1,
                        "--vocab 64: the vocabulary must be larger than the length 64; try 128"),
                Arguments.of(8192, 64, 4, 0.0, 1, "--power-a 0.0"),
                Arguments.of(8192, 64, 4, Double.NaN, 1, "--power-a NaN"),
                Arguments.of(8192, 64, 4, Double.POSITIVE_INFINITY, 1, "--power-a Infinity"),
                Arguments.of(
                        8192, 64, 4, 1000.0, 1, "--power-a 1000.0: queries at short distances"));
    }

    @ParameterizedTest
    @MethodSource("impossible")
    void impossibleOptionsSayWhatIsWrongAndWhatToTry(
            int vocab, int length, int pairs, double a, int passes, String message) {
        assertThatThrownBy(() -> new Mqar(vocab, length, pairs, a, Filler.ZERO, passes))
                .isInstanceOf(UserException.class)
                .hasMessageContaining(message);
    }

    @Test
    void theTightestPossibleOptionsWork() {
        var task = new Mqar(5, 4, 1, 0.01, Filler.RANDOM, 1);
        var row = Row.of(task, STREAM, 0);
        assertThat(row.inputs[0]).isEqualTo(1);
        assertThat(row.inputs[2]).isEqualTo(1);
        assertThat(row.labels[2]).isEqualTo(row.inputs[1]).isGreaterThanOrEqualTo(2);
    }

    @ParameterizedTest
    @EnumSource(Filler.class)
    void verifyFindsEachKindOfDamage(Filler filler) {
        var task = new Mqar(256, 32, 3, 0.01, filler, 2);
        var good = Row.of(task, STREAM, 1);
        int query =
                IntStream.range(12, 32)
                        .filter(i -> good.labels[i] != TaskConfig.IGNORE)
                        .findFirst()
                        .orElseThrow();
        assertThat(task.verify(good.inputs, good.labels)).isEmpty();
        assertThat(damaged(task, good, query, good.inputs[query], 128))
                .get()
                .asString()
                .contains("has value");
        assertThat(damaged(task, good, query, good.inputs[query], TaskConfig.IGNORE)).isPresent();
        assertThat(damaged(task, good, query, 255, good.labels[query]))
                .get()
                .asString()
                .contains("is no query");
        assertThat(damaged(task, good, 13, good.inputs[0], good.inputs[1]))
                .get()
                .asString()
                .contains("is no query");
        assertThat(damaged(task, good, 13, 256, TaskConfig.IGNORE))
                .get()
                .asString()
                .contains("out of range");
        assertThat(damaged(task, good, 0, 0, TaskConfig.IGNORE))
                .get()
                .asString()
                .contains("out of range");
        assertThat(damaged(task, good, 1, 127, TaskConfig.IGNORE))
                .get()
                .asString()
                .contains("out of range");
        assertThat(damaged(task, good, 2, good.inputs[0], TaskConfig.IGNORE))
                .get()
                .asString()
                .contains("occurs twice");
        assertThat(damaged(task, good, 3, good.inputs[1], TaskConfig.IGNORE))
                .get()
                .asString()
                .contains("occurs twice");
        assertThat(damaged(task, good, 7, good.inputs[7] == 128 ? 129 : 128, TaskConfig.IGNORE))
                .get()
                .asString()
                .contains("another pair");
        assertThat(damaged(task, good, 0, good.inputs[0], good.inputs[1]))
                .get()
                .asString()
                .contains("context has a label");
        assertThat(task.verify(new int[31], new int[31])).get().asString().contains("expected 32");
    }

    @Test
    void aFillerOtherThanZeroIsDamageWhereFillersAreZero() {
        var task = new Mqar(256, 32, 3, 0.01, Filler.ZERO, 2);
        assertThat(damaged(task, Row.of(task, STREAM, 1), 31, 9, TaskConfig.IGNORE))
                .get()
                .asString()
                .contains("neither a query nor the filler 0");
    }

    private static Optional<String> damaged(
            Mqar task, Row row, int position, int input, int label) {
        int[] inputs = row.inputs.clone();
        int[] labels = row.labels.clone();
        inputs[position] = input;
        labels[position] = label;
        return task.verify(inputs, labels);
    }
}
