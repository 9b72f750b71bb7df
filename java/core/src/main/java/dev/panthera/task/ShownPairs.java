package dev.panthera.task;

import java.util.Optional;

/** The distinct pairs that a row begins with, as an oracle reads them. */
final class ShownPairs {

    private final int vocabSize;
    private final int firstValue;
    private final int[] numberOfKey;
    private final int[] values;

    ShownPairs(int vocabSize, int pairs) {
        this.vocabSize = vocabSize;
        firstValue = vocabSize / 2;
        numberOfKey = new int[firstValue];
        values = new int[pairs];
    }

    /** Reads them; returns the first thing wrong. */
    Optional<String> read(int[] inputs) {
        boolean[] valueSeen = new boolean[vocabSize];
        for (int i = 0; i < values.length; i++) {
            Optional<String> outside = outOfRange(inputs, 2 * i);
            if (outside.isPresent()) {
                return outside;
            }
            int key = inputs[2 * i];
            int value = inputs[2 * i + 1];
            if (numberOfKey[key] != 0 || valueSeen[value]) {
                return RowCheck.problem(2 * i, "key %d or value %d occurs twice", key, value);
            }
            numberOfKey[key] = i + 1;
            values[i] = value;
            valueSeen[value] = true;
        }
        return Optional.empty();
    }

    /** Whether no key and value can be at a position. */
    Optional<String> outOfRange(int[] inputs, int position) {
        int key = inputs[position];
        int value = inputs[position + 1];
        return key >= 1 && key < firstValue && value >= firstValue && value < vocabSize
                ? Optional.empty()
                : RowCheck.problem(position, "pair (%d, %d) is out of range", key, value);
    }

    /** Which pair has the key; -1 if none. */
    int pairOf(int token) {
        return token < numberOfKey.length ? numberOfKey[token] - 1 : -1;
    }

    /** Value of each pair; an update replaces it. */
    int[] values() {
        return values;
    }
}
