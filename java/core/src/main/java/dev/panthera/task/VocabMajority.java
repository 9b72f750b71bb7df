package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

/**
 * Which token occurs most often: L - 1 tokens uniform on [1, V), then the token 0, whose label is that token.
 *
 * <pre>
 *     input   3 1 3 2 0       L = 5, V = 4
 *     label   . . . . 3
 * </pre>
 *
 * No row has two such tokens: where the draws have, the smallest of them wins, and takes the place of the first token that is
 * another of them.
 *
 * <p>Source: the original's {@code circuits.vocab_majority}, which puts the winner in the place of some other token, not
 * always one of the tied.
 *
 * @param vocabSize V, at least 3
 * @param length L, at least 2
 */
public record VocabMajority(int vocabSize, int length) implements TaskConfig {

    private static final int END = 0;

    /** @throws UserException if an option is impossible; names it and what to try */
    public VocabMajority {
        UserException.require(
                vocabSize >= 3,
                "--vocab %d: there must be two tokens to choose from beside the end; try 8",
                vocabSize);
        UserException.require(
                length >= 2,
                "--length %d: a row of vocabulary majority is at least one token and the end; try 16",
                length);
    }

    @Override
    public String name() {
        return "vocab-majority";
    }

    @Override
    public int labelsPerRow() {
        return 1;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("vocab_size", vocabSize, "input_seq_len", length);
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        CounterRandom random = stream.random(Purpose.ROW);
        int[] counts = new int[vocabSize];
        int end = length - 1;
        return (index, inputs, labels) -> {
            random.reset(index);
            Arrays.fill(counts, 0);
            for (int position = 0; position < end; position++) {
                inputs[position] = 1 + random.nextInt(vocabSize - 1);
                counts[inputs[position]]++;
            }
            inputs[end] = END;
            int winner = mostFrequent(counts);
            breakTie(inputs, counts, winner);
            Arrays.fill(labels, IGNORE);
            labels[end] = winner;
        };
    }

    /** The smallest of them. */
    private static int mostFrequent(int[] counts) {
        int best = 0;
        for (int token = 1; token < counts.length; token++) {
            best = counts[token] > counts[best] ? token : best;
        }
        return best;
    }

    private static void breakTie(int[] inputs, int[] counts, int winner) {
        for (int position = 0; position < inputs.length; position++) {
            int token = inputs[position];
            if (token != winner && counts[token] == counts[winner]) {
                inputs[position] = winner;
                return;
            }
        }
    }

    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        int end = length - 1;
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> RowCheck.tokens(inputs, 0, end, 1, vocabSize))
                .or(() -> RowCheck.token(inputs, end, END))
                .or(() -> firstProblemOfLabel(inputs, labels));
    }

    private Optional<String> firstProblemOfLabel(int[] inputs, int[] labels) {
        int[] counts = new int[vocabSize];
        for (int position = 0; position < length - 1; position++) {
            counts[inputs[position]]++;
        }
        int winner = mostFrequent(counts);
        for (int token = winner + 1; token < vocabSize; token++) {
            if (counts[token] == counts[winner]) {
                return Optional.of(
                        "tokens %d and %d both occur %d times"
                                .formatted(winner, token, counts[winner]));
            }
        }
        return RowCheck.lastLabel(labels, winner);
    }
}
