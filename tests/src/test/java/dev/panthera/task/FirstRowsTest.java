package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** These tokens are part of the definition of every published data set: they never change. */
class FirstRowsTest {

    static Stream<Arguments> rows() {
        return Stream.of(
                Arguments.of(
                        new ZipfMqar(32, 12, 2, 1, 1, new GapLaw.Geometric(0.9), Filler.RANDOM, 1),
                        "2 16 3 19 3>19 31 2>16 14 16 20 13 3"),
                Arguments.of(
                        new ZipfMqar(32, 12, 2, 0, 2, new GapLaw.Uniform(), Filler.RANDOM, 1),
                        "7 16 2 17 0 31 7>16 14 2>17 20 13 3"),
                Arguments.of(
                        new ForgettingMqar(32, 12, 2, 2, 0.01, Filler.RANDOM, false),
                        "7 21 2 23 7 18 2 17 7>18 31 2>17 14"),
                Arguments.of(
                        new ForgettingMqar(32, 12, 2, 2, 0.01, Filler.RANDOM, true),
                        "7 21 2 23 7 18 2 17 7>18 31 2>17 14"),
                Arguments.of(
                        new CompositionalMqar(48, 25, 4, 0.01, Filler.RANDOM),
                        "7 21 39 2 23 47 2 21 36 7 23 34 7 21>39 2 2 21>36 30 2 23>47 24 7 23>34 36 31"),
                Arguments.of(new InductionHeads(16, 12), "1 6 7 4 0 7 13 8 15 3 2 0>7"),
                Arguments.of(new SelectiveCopying(16, 12, 3), "7 4 0 0 14 0 0 0 0 1>7 1>4 1>14"),
                Arguments.of(new Parity(9), "1 0 0 0 1 0 0 0 2>0"),
                Arguments.of(new Majority(9), "1 0 0 0 1 0 0 0 2>0"),
                Arguments.of(new VocabMajority(5, 9), "2 1 2 2 1 4 2 4 0>2"),
                Arguments.of(new CumulativeParity(9), "1>1 0>1 0>1 0>1 1>0 0>0 0>0 0>0 0>0"),
                Arguments.of(new CumulativeMajority(9), "1>1 0>1 0>0 0>0 1>0 0>0 0>0 0>0 0>0"));
    }

    @ParameterizedTest
    @MethodSource("rows")
    void theFirstRowOfASeedNeverChanges(TaskConfig task, String expected) {
        var row = Row.of(task, 0);
        String text =
                IntStream.range(0, task.length())
                        .mapToObj(position ->
                                row.labels()[position] == TaskConfig.IGNORE
                                        ? "" + row.inputs()[position]
                                        : row.inputs()[position] + ">" + row.labels()[position])
                        .collect(Collectors.joining(" "));
        assertThat(text).isEqualTo(expected);
    }

    /** Bits come 32 to a word: the second word and the last, ragged one count too. */
    @ParameterizedTest
    @MethodSource("lengths")
    void bitsAreFairAtEveryPosition(int length) {
        int[] ones = new int[length];
        int rows = 4000;
        for (long index = 0; index < rows; index++) {
            int[] inputs = Row.of(new CumulativeParity(length), index).inputs();
            Arrays.setAll(ones, i -> ones[i] + inputs[i]);
        }
        assertThat(Arrays.stream(ones).boxed())
                .allMatch(count -> Math.abs(count - rows / 2) < 5 * Math.sqrt(rows / 4.0));
    }

    static IntStream lengths() {
        return IntStream.of(1, 31, 32, 33, 70);
    }
}
