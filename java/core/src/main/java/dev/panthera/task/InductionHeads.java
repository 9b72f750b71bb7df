package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What followed the special token when it came before. The rule of an induction head, [A][B] ... [A] to [B], for one known
 * A: recall of a single pair, at a distance that may be anything.
 *
 * <pre>
 *     position  0 1 2 3 4 5 6 7       L = 8; the special token is 0
 *     input     7 3 0 5 9 3 2 0
 *     label     . . . . . . . 5
 * </pre>
 *
 * All other tokens are uniform on [1, V). The special token stands at a position uniform on [0, L - 3], and at the end.
 *
 * <p>Source: induction heads after Olsson et al. 2022 (arXiv 2209.11895); the task after Fu et al. 2023, H3 (arXiv
 * 2212.14052), and Gu &amp; Dao 2023, Mamba (arXiv 2312.00752, section 4.1.2).
 *
 * @param vocabSize V, at least 3
 * @param length L, at least 3
 */
public record InductionHeads(int vocabSize, int length) implements TaskConfig {

    private static final int SPECIAL = 0;

    /** @throws UserException if an option is impossible; names it and what to try */
    public InductionHeads {
        UserException.require(
                vocabSize >= 3,
                "--vocab %d: there must be two tokens to choose from beside the special one; try 16",
                vocabSize);
        UserException.require(
                length >= 3,
                "--length %d: a row of induction heads has at least the special token, what follows, and the special"
                        + " token; try 64",
                length);
    }

    @Override
    public String name() {
        return "induction-heads";
    }

    @Override
    public int labelsPerRow() {
        return 1;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("input_seq_len", length);
    }

    @Override
    public OptionalDouble chance() {
        return OptionalDouble.of(1.0 / (vocabSize - 1));
    }

    @Override
    public int answerDistance(int[] inputs, int position) {
        for (int shown = position - 1; shown >= 0; shown--) {
            if (inputs[shown] == SPECIAL) {
                return position - shown;
            }
        }
        return NO_DISTANCE;
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        CounterRandom random = stream.random(Purpose.ROW);
        int end = length - 1;
        return (index, inputs, labels) -> {
            random.reset(index);
            int shown = random.nextInt(length - 2);
            for (int position = 0; position < end; position++) {
                inputs[position] = 1 + random.nextInt(vocabSize - 1);
            }
            inputs[shown] = SPECIAL;
            inputs[end] = SPECIAL;
            Arrays.fill(labels, IGNORE);
            labels[end] = inputs[shown + 1];
        };
    }

    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> RowCheck.tokens(inputs, 0, length, 0, vocabSize))
                .or(() -> RowCheck.token(inputs, length - 1, SPECIAL))
                .or(() -> firstProblemOfSpecial(inputs))
                .or(() ->
                        RowCheck.lastLabel(
                                labels, inputs[length - answerDistance(inputs, length - 1)]));
    }

    private Optional<String> firstProblemOfSpecial(int[] inputs) {
        int shown = length - 1 - answerDistance(inputs, length - 1);
        if (shown >= length - 2) {
            return Optional.of(
                    "the special token comes once, or no other token between its two places");
        }
        return answerDistance(inputs, shown) == NO_DISTANCE
                ? Optional.empty()
                : RowCheck.problem(shown, "the special token comes three times");
    }
}
