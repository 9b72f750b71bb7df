package dev.panthera.task;

import java.util.Optional;
import java.util.stream.IntStream;

/** One row of a task. */
public record Row(TaskConfig task, int[] inputs, int[] labels) {
    static final RowStream STREAM = new RowStream(123, Split.TRAIN, 0);

    public static Row of(TaskConfig task, long index) {
        return of(task, STREAM, index);
    }

    static Row of(TaskConfig task, RowStream stream, long index) {
        int[] inputs = new int[task.inputsPerRow()];
        int[] labels = new int[task.length()];
        task.generator(stream).row(index, inputs, labels);
        return new Row(task, inputs, labels);
    }

    /** Positions with a label. */
    IntStream asked() {
        return IntStream.range(0, labels.length)
                .filter(position -> labels[position] != TaskConfig.IGNORE);
    }

    /** What the oracle says. */
    Optional<String> problem() {
        return task.verify(inputs, labels);
    }

    /** A copy with another token and label at a position. */
    Row with(int position, int input, int label) {
        return withInput(position, input).withLabel(position, label);
    }

    Row withLabel(int position, int label) {
        var copy = new Row(task, inputs.clone(), labels.clone());
        copy.labels[position] = label;
        return copy;
    }

    Row withInput(int index, int input) {
        var copy = new Row(task, inputs.clone(), labels.clone());
        copy.inputs[index] = input;
        return copy;
    }
}
