package dev.panthera.task;

import java.util.Optional;

/** What the tasks' oracles have in common. */
final class RowCheck {
    private RowCheck() {}

    /** A row has as many ids and labels as the task says. */
    static Optional<String> lengths(TaskConfig task, int[] inputs, int[] labels) {
        return inputs.length == task.inputsPerRow() && labels.length == task.length()
                ? Optional.empty()
                : Optional.of(
                        "inputs and labels have lengths %d and %d; expected %d and %d"
                                .formatted(
                                        inputs.length,
                                        labels.length,
                                        task.inputsPerRow(),
                                        task.length()));
    }

    /** Tokens in [begin, end) are in [least, bound). */
    static Optional<String> tokens(int[] inputs, int begin, int end, int least, int bound) {
        for (int position = begin; position < end; position++) {
            if (inputs[position] < least || inputs[position] >= bound) {
                return problem(position, "token %d is out of range", inputs[position]);
            }
        }
        return Optional.empty();
    }

    /** A token is the only one possible at its position. */
    static Optional<String> token(int[] inputs, int position, int expected) {
        return inputs[position] == expected
                ? Optional.empty()
                : problem(position, "token %d, expected %d", inputs[position], expected);
    }

    /** The last position alone has a label. */
    static Optional<String> lastLabel(int[] labels, int expected) {
        return noLabels(labels, labels.length - 1)
                .or(() -> label(labels, labels.length - 1, expected));
    }

    /** No position below {@code end} has a label. */
    static Optional<String> noLabels(int[] labels, int end) {
        for (int position = 0; position < end; position++) {
            if (labels[position] != TaskConfig.IGNORE) {
                return problem(position, "the context has a label");
            }
        }
        return Optional.empty();
    }

    /** A position has the right label. */
    static Optional<String> label(int[] labels, int position, int expected) {
        return labels[position] == expected
                ? Optional.empty()
                : problem(position, "label %d, expected %d", labels[position], expected);
    }

    static Optional<String> problem(int position, String what, Object... arguments) {
        return Optional.of("position %d: %s".formatted(position, what.formatted(arguments)));
    }
}
