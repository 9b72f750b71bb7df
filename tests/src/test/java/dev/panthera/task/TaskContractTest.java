package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** What every task promises. */
class TaskContractTest {

    @SuppressWarnings("unused")
    private static final Iterable<TaskConfig> TASKS = TaskContracts.ALL;

    @Test
    void everyListedTaskIsChecked() {
        assertThat(TaskContracts.ALL.stream().map(Tasks.ALL::id).distinct())
                .containsExactlyInAnyOrderElementsOf(Tasks.ALL.names());
        assertThat(TaskContracts.ALL)
                .allSatisfy(task -> assertThat(task.name()).isEqualTo(Tasks.ALL.id(task)));
    }

    @Test
    void everyListedTaskSaysWhatItIs() {
        assertThat(Tasks.ALL.names())
                .allSatisfy(name -> assertThat(Tasks.ALL.description(name)).isNotBlank());
    }

    @ParameterizedTest
    @FieldSource("TASKS")
    void theOracleFindsEveryRowRight(TaskConfig task) {
        var generator = task.generator(new RowStream(7, Split.TEST, 3));
        var row = new Row(task, new int[task.inputsPerRow()], new int[task.length()]);
        for (long index = 0; index < 2000; index++) {
            generator.row(index, row.inputs(), row.labels());
            assertThat(row.problem()).as("row %d", index).isEmpty();
        }
    }

    /** By plain loops over the inputs that share nothing with the oracle. */
    @ParameterizedTest
    @FieldSource("TASKS")
    void everyLabelFollowsFromTheInputs(TaskConfig task) {
        for (long index = 0; index < 200; index++) {
            var row = Row.of(task, index);
            assertThat(row.asked().count()).isEqualTo(task.labelsPerRow());
            assertThat(Arrays.stream(row.inputs()).boxed())
                    .allMatch(id -> id >= 0 && id < bound(task));
            row.asked()
                    .forEach(position ->
                            assertThat(row.labels()[position])
                                    .as(
                                            "position %d of %s",
                                            position, Arrays.toString(row.inputs()))
                                    .isEqualTo(PlainAnswers.answer(row, position)));
        }
    }

    /** Of the ids of inputs, which may be one more than tokens: nothing. */
    private static int bound(TaskConfig task) {
        return task.continuous() ? task.vocabSize() + 1 : task.vocabSize();
    }

    @ParameterizedTest
    @FieldSource("TASKS")
    void theOracleFindsEveryWrongLabel(TaskConfig task) {
        for (long index = 0; index < 5; index++) {
            var row = Row.of(task, index);
            for (int position = 0; position < task.length(); position++) {
                int label = row.labels()[position];
                int other = label == 1 ? 0 : 1;
                assertThat(row.withLabel(position, other).problem())
                        .as("label %d at %d", other, position)
                        .isPresent();
                if (label != TaskConfig.IGNORE) {
                    assertThat(row.withLabel(position, TaskConfig.IGNORE).problem()).isPresent();
                    assertThat(row.withLabel(position, task.vocabSize()).problem()).isPresent();
                }
            }
        }
    }

    @ParameterizedTest
    @FieldSource("TASKS")
    void theOracleFindsEveryTokenOutsideTheVocabulary(TaskConfig task) {
        var row = Row.of(task, 0);
        for (int i = 0; i < task.inputsPerRow(); i++) {
            assertThat(row.withInput(i, -1).problem()).isPresent();
            assertThat(row.withInput(i, bound(task)).problem()).isPresent();
        }
        assertThat(task.verify(new int[task.length() + 1], new int[task.length() + 1]))
                .get()
                .asString()
                .contains("expected %d and %d".formatted(task.inputsPerRow(), task.length()));
    }

    @ParameterizedTest
    @FieldSource("TASKS")
    void aRowDependsOnSeedSplitSegmentAndIndexAlone(TaskConfig task) {
        var generator = task.generator(Row.STREAM);
        int[] inputs = new int[task.inputsPerRow()];
        int[] labels = new int[task.length()];
        for (long index : new long[] {7, 3, 1_000_000_007L, 0, 3, 7}) {
            generator.row(index, inputs, labels);
            var alone = Row.of(task, index);
            assertThat(inputs).isEqualTo(alone.inputs());
            assertThat(labels).isEqualTo(alone.labels());
        }
        if (task.length() < 12) {
            return; // rows of so few possible ones may be equal
        }
        assertThat(
                        Stream.of(
                                        Row.STREAM,
                                        new RowStream(124, Split.TRAIN, 0),
                                        new RowStream(123, Split.VALIDATION, 0),
                                        new RowStream(123, Split.TEST, 0),
                                        new RowStream(123, Split.TRAIN, 1))
                                .map(stream -> Arrays.toString(Row.of(task, stream, 7).inputs()))
                                .distinct())
                .hasSize(5);
    }

    /** The distance leads to a place that shows what the query says, followed by the answer. */
    @ParameterizedTest
    @FieldSource("TASKS")
    void theDistanceLeadsToTheAnswer(TaskConfig task) {
        for (long index = 0; index < 100; index++) {
            var row = Row.of(task, index);
            row.asked().forEach(position -> assertAnswerAtDistance(row, position));
        }
    }

    private static void assertAnswerAtDistance(Row row, int position) {
        int distance = row.task().answerDistance(row.inputs(), position);
        boolean recalls =
                !(row.task().name().contains("parity") || row.task().name().contains("majority"));
        if (!recalls) {
            assertThat(distance).isEqualTo(TaskConfig.NO_DISTANCE);
            return;
        }
        assertThat(distance).isBetween(1, position);
        int shown = position - distance;
        if (row.task() instanceof ContinuousMqar task) {
            assertThat(row.inputs()[2 * shown]).isEqualTo(row.inputs()[2 * position]);
            assertThat(row.inputs()[2 * shown + 1] - task.vocabSize() / 2)
                    .isEqualTo(row.labels()[position]);
            return;
        }
        boolean copies = row.task() instanceof SelectiveCopying;
        assertThat(row.inputs()[copies ? shown : shown + 1]).isEqualTo(row.labels()[position]);
        if (!copies) {
            assertThat(row.inputs()[shown]).isEqualTo(row.inputs()[position]);
        }
    }

    /** The best answer that is the same for all rows, by position where every position is asked. */
    @ParameterizedTest
    @FieldSource("TASKS")
    void chanceIsWhatTheMostFrequentAnswersEarn(TaskConfig task) {
        if (task.chance().isEmpty() || task.vocabSize() > 100) {
            return; // not known, or too rare to be seen here
        }
        int rows = 20_000;
        boolean everywhere = task.labelsPerRow() == task.length();
        Map<Integer, Map<Integer, Integer>> counts = new HashMap<>();
        var generator = task.generator(Row.STREAM);
        int[] inputs = new int[task.inputsPerRow()];
        int[] labels = new int[task.length()];
        for (long index = 0; index < rows; index++) {
            generator.row(index, inputs, labels);
            for (int position = 0; position < labels.length; position++) {
                if (labels[position] != TaskConfig.IGNORE) {
                    counts.computeIfAbsent(everywhere ? position : 0, key -> new HashMap<>())
                            .merge(labels[position], 1, Integer::sum);
                }
            }
        }
        double best =
                counts.values().stream()
                        .mapToInt(answers -> answers.values().stream().max(Integer::compare).get())
                        .sum();
        assertThat(best / rows / task.labelsPerRow())
                .isCloseTo(task.chance().getAsDouble(), within(0.01));
    }
}
