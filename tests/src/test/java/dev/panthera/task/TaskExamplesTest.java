package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Rows made by hand, and options that cannot be. */
class TaskExamplesTest {

    private static final int NO = TaskConfig.IGNORE;

    /** A row as text: {@code 7>18} is the token 7 with the label 18. */
    private static Row row(TaskConfig task, String text) {
        String[] words = text.split(" ");
        int[] inputs = new int[words.length];
        int[] labels = new int[words.length];
        for (int i = 0; i < words.length; i++) {
            String[] parts = words[i].split(">");
            inputs[i] = Integer.parseInt(parts[0]);
            labels[i] = parts.length == 1 ? NO : Integer.parseInt(parts[1]);
        }
        return new Row(task, inputs, labels);
    }

    private static final ForgettingMqar FORGETTING =
            new ForgettingMqar(20, 14, 2, 2, 1, Filler.ZERO, false);
    private static final ForgettingMqar PUBLISHED =
            new ForgettingMqar(20, 14, 2, 2, 1, Filler.ZERO, true);
    private static final CompositionalMqar COMPOSITIONAL =
            new CompositionalMqar(31, 25, 4, 1, Filler.ZERO);
    private static final String COMBINATIONS = "1 10 20 2 10 21 2 11 22 1 11 23 ";

    static Stream<Arguments> wrongRows() {
        return Stream.of(
                Arguments.of(FORGETTING, "3 12 4 13 4 14 3 15 0 0 4>14 0 3>15 0", ""),
                Arguments.of(FORGETTING, "3 12 4 13 4 12 3 13 0 0 4>12 0 3>13 0", ""),
                Arguments.of(
                        FORGETTING,
                        "3 12 4 13 4 14 3 15 0 0 4>13 0 3>15 0",
                        "position 10: label 13, but key 4 has value 14"),
                Arguments.of(
                        FORGETTING,
                        "3 12 4 13 4 13 3 15 0 0 4>13 0 3>15 0",
                        "position 4: value 13 is the one that cannot be drawn"),
                Arguments.of(PUBLISHED, "3 12 4 13 4 13 3 15 0 0 4>13 0 3>15 0", ""),
                Arguments.of(
                        PUBLISHED,
                        "3 12 4 13 4 12 3 15 0 0 4>12 0 3>15 0",
                        "position 4: value 12 is the one that cannot be drawn"),
                Arguments.of(
                        FORGETTING,
                        "3 12 4 13 4 14 4 15 0 0 4>15 0 3>12 0",
                        "position 6: key 4 has no pair, or two updates"),
                Arguments.of(
                        FORGETTING,
                        "3 12 4 13 5 14 3 15 0 0 4>13 0 3>15 0",
                        "position 4: key 5 has no pair, or two updates"),
                Arguments.of(
                        FORGETTING,
                        "3 12 4 13 4 9 3 15 0 0 4>14 0 3>15 0",
                        "position 4: pair (4, 9) is out of range"),
                Arguments.of(
                        FORGETTING,
                        "3 12 4 12 4 14 3 15 0 0 4>14 0 3>15 0",
                        "position 2: key 4 or value 12 occurs twice"),
                Arguments.of(
                        COMPOSITIONAL,
                        COMBINATIONS + "2 10>21 0 1 11>23 0 1 10>20 0 2 11>22 0 0",
                        ""),
                Arguments.of(
                        COMPOSITIONAL,
                        COMBINATIONS + "2 10>20 0 1 11>23 0 1 10>20 0 2 11>22 0 0",
                        "position 13: label 20, but key 10 has value 21"),
                Arguments.of(
                        COMPOSITIONAL,
                        COMBINATIONS + "2 10>21 0 1 11>23 0 1 10>20 0 1 11>23 0 0",
                        "position 22: token 11 has a label but is no query"),
                Arguments.of(
                        COMPOSITIONAL,
                        COMBINATIONS + "2 10>21 0 1 11>23 0 1 10>20 3 2 11>22 0 0",
                        "position 20: token 3 is neither a query nor the filler 0"),
                Arguments.of(
                        COMPOSITIONAL,
                        COMBINATIONS + "2 10>21 0 1 11>23 0 1 10>20 0 2 11 0 0",
                        "position 21: token 2 is neither a query nor the filler 0"),
                Arguments.of(
                        COMPOSITIONAL,
                        "1 10 20 2 11 21 3 12 22 1 11 23 1 10>20 0 2 11>21 0 3 12>22 0 1 11>23 0 0",
                        "there are 3 first and 3 second keys, expected 2 of each"),
                Arguments.of(
                        COMPOSITIONAL,
                        "1 10 20 1 10 21 2 11 22 2 10 23 1 10>20 0 2 11>21 0 3 12>22 0 1 11>23 0 0",
                        "position 3: combination (1, 10) or value 21 occurs twice"),
                Arguments.of(
                        COMPOSITIONAL,
                        "1 9 20 2 9 21 2 11 22 1 11 23 1 10>20 0 2 11>21 0 3 12>22 0 1 11>23 0 0",
                        "position 0: (1, 9, 20) is out of range"),
                Arguments.of(new InductionHeads(9, 6), "7 0 3 8 7 0>3", ""),
                Arguments.of(new InductionHeads(9, 6), "0 3 8 7 7 0>3", ""),
                Arguments.of(new InductionHeads(9, 6), "7 3 3 0 7 0>7", ""),
                Arguments.of(
                        new InductionHeads(9, 6),
                        "7 3 3 7 0 0>0",
                        "the special token comes once, or no other token between its two places"),
                Arguments.of(
                        new InductionHeads(9, 6),
                        "7 3 3 7 7 0>3",
                        "the special token comes once, or no other token between its two places"),
                Arguments.of(
                        new InductionHeads(9, 6),
                        "0 3 0 7 7 0>7",
                        "position 2: the special token comes three times"),
                Arguments.of(
                        new InductionHeads(9, 6),
                        "7 3 0 7 7 4>7",
                        "position 5: token 4, expected 0"),
                Arguments.of(new SelectiveCopying(8, 8, 2), "0 5 0 5 0 0 1>5 1>5", ""),
                Arguments.of(
                        new SelectiveCopying(8, 8, 2),
                        "0 5 0 3 0 0 1>3 1>5",
                        "position 6: label 3, expected 5"),
                Arguments.of(
                        new SelectiveCopying(8, 8, 2),
                        "0 5 0 3 6 0 1>5 1>3",
                        "position 4: there are more than 2 data tokens"),
                Arguments.of(
                        new SelectiveCopying(8, 8, 2),
                        "0 5 0 0 0 0 1>5 1>3",
                        "there are less than 2 data tokens"),
                Arguments.of(
                        new SelectiveCopying(8, 8, 2),
                        "0 5 1 3 0 0 1>5 1>3",
                        "position 2: token 1 is neither noise nor data"),
                Arguments.of(
                        new SelectiveCopying(8, 8, 2),
                        "0 5 0 3 0 0 0>5 1>3",
                        "position 6: token 0, expected 1"),
                Arguments.of(new Parity(4), "1 1 1 2>1", ""),
                Arguments.of(new Parity(4), "1 1 1 2>0", "position 3: label 0, expected 1"),
                Arguments.of(new Parity(4), "1 2 1 2>0", "position 1: token 2 is out of range"),
                Arguments.of(new Parity(4), "1 1 1 0>1", "position 3: token 0, expected 2"),
                Arguments.of(new Majority(5), "1 1 0 0 2>0", ""),
                Arguments.of(new Majority(5), "1 1 0 1 2>1", ""),
                Arguments.of(new Majority(5), "1 1 0 0 2>1", "position 4: label 1, expected 0"),
                Arguments.of(new VocabMajority(5, 6), "4 4 1 4 3 0>4", ""),
                Arguments.of(
                        new VocabMajority(5, 6),
                        "4 4 1 3 3 0>4",
                        "tokens 3 and 4 both occur 2 times"),
                Arguments.of(
                        new VocabMajority(5, 6),
                        "4 4 0 4 3 0>4",
                        "position 2: token 0 is out of range"),
                Arguments.of(new CumulativeParity(4), "1>1 1>0 0>0 1>1", ""),
                Arguments.of(
                        new CumulativeParity(4),
                        "1>1 1>0 0>1 1>1",
                        "position 2: label 1, expected 0"),
                Arguments.of(new CumulativeMajority(4), "0>0 1>1 0>0 0>0", ""),
                Arguments.of(
                        new CumulativeMajority(4),
                        "0>0 1>0 0>0 0>0",
                        "position 1: label 0, expected 1"));
    }

    /** An empty expectation means that the row is right. */
    @ParameterizedTest
    @MethodSource("wrongRows")
    void theOracleNamesWhatIsWrong(TaskConfig task, String text, String expected) {
        assertThat(row(task, text).problem().orElse("")).isEqualTo(expected);
    }

    @Test
    void theNewValueOfAKeyIsNotItsOldOneUnlessAsPublished() {
        var fixed = new ForgettingMqar(17, 16, 3, 2, 1, Filler.ZERO, false);
        var published = new ForgettingMqar(17, 16, 3, 2, 1, Filler.ZERO, true);
        assertThat(repeatedValues(fixed)).isZero();
        assertThat(repeatedValues(published)).isPositive();
    }

    /** How often an update repeats the value that its key has. */
    private static int repeatedValues(ForgettingMqar task) {
        int repeated = 0;
        for (long index = 0; index < 500; index++) {
            int[] inputs = Row.of(task, index).inputs();
            for (int update = 6; update < 10; update += 2) {
                for (int pair = 0; pair < 6; pair += 2) {
                    boolean same =
                            inputs[pair] == inputs[update]
                                    && inputs[pair + 1] == inputs[update + 1];
                    repeated += same ? 1 : 0;
                }
            }
        }
        return repeated;
    }

    @Test
    void distancesLeadToTheUpdateTheCombinationAndTheDataToken() {
        var forgetting = row(FORGETTING, "3 12 4 13 4 14 3 15 0 0 4>14 0 3>15 0");
        assertThat(FORGETTING.answerDistance(forgetting.inputs(), 10)).isEqualTo(6);
        assertThat(FORGETTING.answerDistance(forgetting.inputs(), 12)).isEqualTo(6);
        var combined =
                row(COMPOSITIONAL, COMBINATIONS + "2 10>21 0 1 11>23 0 1 10>20 0 2 11>22 0 0");
        assertThat(COMPOSITIONAL.answerDistance(combined.inputs(), 13)).isEqualTo(9);
        assertThat(COMPOSITIONAL.answerDistance(combined.inputs(), 0))
                .isEqualTo(TaskConfig.NO_DISTANCE);
        var copying = new SelectiveCopying(8, 8, 2);
        int[] inputs = row(copying, "0 5 0 5 0 0 1>5 1>5").inputs();
        assertThat(copying.answerDistance(inputs, 6)).isEqualTo(5);
        assertThat(copying.answerDistance(inputs, 7)).isEqualTo(4);
        assertThat(copying.answerDistance(inputs, 5)).isEqualTo(TaskConfig.NO_DISTANCE);
    }

    private static Arguments cannot(Supplier<TaskConfig> task, String... parts) {
        return Arguments.of(task, parts);
    }

    static Stream<Arguments> impossible() {
        return Stream.of(
                cannot(() -> forgetting(40, 31, 2, 1), "--length 31", "even", "try 32"),
                cannot(() -> forgetting(40, 32, 0, 0), "--pairs 0", "at least one"),
                cannot(() -> forgetting(40, 32, 4, 5), "--updates 5", "the 4 pairs", "try 2"),
                cannot(() -> forgetting(40, 32, 4, -1), "--updates -1"),
                cannot(() -> forgetting(80, 32, 7, 3), "need 34 positions", "--length 34"),
                cannot(
                        () -> forgetting(80, 32, Integer.MAX_VALUE, Integer.MAX_VALUE),
                        "need 12884901882 positions"),
                cannot(() -> forgetting(32, 32, 4, 2), "--vocab 32", "try 64"),
                cannot(
                        () -> new ForgettingMqar(40, 32, 4, 2, 0, Filler.ZERO, false),
                        "--power-a 0.0",
                        "positive"),
                cannot(() -> compositional(100, 64, 5), "--pairs 5", "square", "try 4"),
                cannot(() -> compositional(100, 64, 0), "--pairs 0", "try 1"),
                cannot(() -> compositional(100, 64, -4), "--pairs -4", "try 1"),
                cannot(() -> compositional(100, 64, 16), "need 96 positions", "--length 96"),
                cannot(() -> compositional(64, 64, 4), "--vocab 64", "try 128"),
                cannot(() -> zipf(-1, 1, new GapLaw.Uniform()), "--key-exponent -1.0", "try 1"),
                cannot(() -> zipf(1, 1e9, new GapLaw.Uniform()), "--value-exponent 1.0E9"),
                cannot(() -> zipf(Double.NaN, 1, new GapLaw.Uniform()), "--key-exponent NaN"),
                cannot(() -> zipf(1, 1, new GapLaw.Fixed(6)), "--gap 6", "between 8 and 24"),
                cannot(() -> zipf(1, 1, new GapLaw.Fixed(26)), "--gap 26", "between 8 and 24"),
                cannot(() -> zipf(1, 1, new GapLaw.Fixed(9)), "--gap 9", "even", "try 10"),
                cannot(() -> zipf(1, 1, new GapLaw.Fixed(0)), "--gap 0", "try"),
                cannot(() -> zipf(1, 1, new GapLaw.Geometric(1)), "--gap-ratio 1.0", "try 0.9"),
                cannot(() -> zipf(1, 1, new GapLaw.Geometric(0)), "--gap-ratio 0.0"),
                cannot(
                        () -> zipf(1, 1, new GapLaw.Geometric(1e-100)),
                        "--gap-ratio 1.0E-100",
                        "probability 0",
                        "try 0.001"),
                cannot(() -> zipf(1, 1, new GapLaw.PowerLaw(1000)), "--power-a 1000.0"),
                cannot(() -> new InductionHeads(2, 8), "--vocab 2", "try 16"),
                cannot(() -> new InductionHeads(16, 2), "--length 2", "try 64"),
                cannot(() -> new SelectiveCopying(3, 8, 2), "--vocab 3", "try 16"),
                cannot(() -> new SelectiveCopying(8, 8, 0), "--data-tokens 0", "try 16"),
                cannot(() -> new SelectiveCopying(8, 8, 5), "need 10 positions", "--length 10"),
                cannot(() -> new Parity(1), "--length 1", "try 16"),
                cannot(() -> new Majority(1), "--length 1", "try 16"),
                cannot(() -> new VocabMajority(2, 8), "--vocab 2", "try 8"),
                cannot(() -> new VocabMajority(8, 1), "--length 1", "try 16"),
                cannot(() -> new CumulativeParity(0), "--length 0", "try 16"),
                cannot(() -> new CumulativeMajority(0), "--length 0", "try 16"));
    }

    private static TaskConfig forgetting(int vocab, int length, int pairs, int updates) {
        return new ForgettingMqar(vocab, length, pairs, updates, 1, Filler.ZERO, false);
    }

    private static TaskConfig compositional(int vocab, int length, int pairs) {
        return new CompositionalMqar(vocab, length, pairs, 1, Filler.ZERO);
    }

    private static TaskConfig zipf(double keys, double values, GapLaw law) {
        return new ZipfMqar(40, 32, 4, keys, values, law, Filler.ZERO, 1);
    }

    @ParameterizedTest
    @MethodSource("impossible")
    void impossibleOptionsSayWhatIsWrongAndWhatToTry(Supplier<TaskConfig> task, String[] parts) {
        assertThatThrownBy(task::get)
                .isInstanceOf(UserException.class)
                .hasMessageContainingAll(Arrays.copyOf(parts, parts.length, CharSequence[].class))
                .hasMessageMatching(".*: .*; try .*");
    }

    @Test
    void namesAndTagsTellTasksApart() {
        assertThat(TaskContracts.ALL)
                .allSatisfy(task -> {
                    assertThat(task.label()).startsWith(task.name() + "-").doesNotContain(" ");
                    assertThat(task.slices()).isNotEmpty();
                    assertThat(task.name()).isEqualTo(task.name().toLowerCase(Locale.ROOT));
                });
    }
}
