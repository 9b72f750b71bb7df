package dev.panthera.task;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** Answers found by the plainest loops, for comparison. */
final class PlainAnswers {
    private PlainAnswers() {}

    /** What is right at a position that is asked. */
    static int answer(Row row, int position) {
        int[] inputs = row.inputs();
        return switch (row.task()) {
            case Mqar task -> valueBefore(inputs, task.contextLength(), inputs[position]);
            case ZipfMqar task ->
                    valueBefore(inputs, 2 * task.pairs() * task.passes(), inputs[position]);
            case ForgettingMqar task -> valueBefore(inputs, task.contextLength(), inputs[position]);
            case CompositionalMqar task ->
                    IntStream.range(0, task.pairs())
                            .map(i -> 3 * i)
                            .filter(i ->
                                    inputs[i] == inputs[position - 1]
                                            && inputs[i + 1] == inputs[position])
                            .map(i -> inputs[i + 2])
                            .findFirst()
                            .orElseThrow();
            case ContinuousMqar task ->
                    IntStream.range(0, task.contextLength())
                            .filter(i -> inputs[2 * i] == inputs[2 * position])
                            .map(i -> inputs[2 * i + 1] - task.vocabSize() / 2)
                            .findFirst()
                            .orElseThrow();
            case InductionHeads task ->
                    IntStream.range(0, position)
                            .filter(i -> inputs[i] == 0)
                            .map(i -> inputs[i + 1])
                            .findFirst()
                            .orElseThrow();
            case SelectiveCopying task -> {
                int[] data = Arrays.stream(inputs).filter(token -> token > 1).toArray();
                yield data[position - (task.length() - task.dataTokens())];
            }
            case Parity task -> ones(inputs, position) % 2;
            case Majority task -> 2 * ones(inputs, position) > position ? 1 : 0;
            case CumulativeParity task -> ones(inputs, position + 1) % 2;
            case CumulativeMajority task -> 2 * ones(inputs, position + 1) >= position + 1 ? 1 : 0;
            case VocabMajority task ->
                    IntStream.range(1, task.vocabSize())
                            .boxed()
                            .max(Comparator.comparing(token -> count(inputs, token)))
                            .orElseThrow();
            default -> throw new IllegalArgumentException(row.task().name());
        };
    }

    /** The last pair of the context with that key counts. */
    private static int valueBefore(int[] inputs, int context, int key) {
        for (int i = context - 2; i >= 0; i -= 2) {
            if (inputs[i] == key) {
                return inputs[i + 1];
            }
        }
        throw new IllegalArgumentException("no such key: " + key);
    }

    private static int ones(int[] inputs, int count) {
        return Arrays.stream(inputs, 0, count).sum();
    }

    private static long count(int[] inputs, int token) {
        return Arrays.stream(inputs).filter(other -> other == token).count();
    }
}
