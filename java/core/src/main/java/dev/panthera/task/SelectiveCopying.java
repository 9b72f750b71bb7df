package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Data tokens scattered among noise, then to be reproduced in order: what to keep depends on the input, so a fixed
 * convolution cannot do it.
 *
 * <pre>
 *     position  0 1 2 3 4 5 6 7 | 8 9 10      n = 3 data tokens; 0 is noise, 1 asks for the next data token
 *     input     0 5 0 0 3 0 0 7 | 1 1  1
 *     label     . . . . . . . . | 5 3  7
 * </pre>
 *
 * Data tokens are uniform on [2, V) and may repeat; their positions are distinct and uniform on [0, L - n).
 *
 * <p>Source: Gu &amp; Dao 2023, Mamba (arXiv 2312.00752, section 4.1.1), after Jing et al. 2019 (arXiv 1706.02761); there 16
 * of 4096 tokens are data, and the vocabulary has 16.
 *
 * @param vocabSize V, at least 4
 * @param length L, at least 2 n
 * @param dataTokens n, at least 1
 */
public record SelectiveCopying(int vocabSize, int length, int dataTokens) implements TaskConfig {

    private static final int NOISE = 0;
    private static final int ASK = 1;
    private static final int FIRST_DATA = 2;

    /** @throws UserException if an option is impossible; names it and what to try */
    public SelectiveCopying {
        UserException.require(
                vocabSize >= FIRST_DATA + 2,
                "--vocab %d: there must be two data tokens beside noise and marker; try 16",
                vocabSize);
        UserException.require(
                dataTokens >= 1, "--data-tokens %d: there must be one to copy; try 16", dataTokens);
        UserException.require(
                2L * dataTokens <= length,
                "--length %d: %d data tokens and as many markers need %d positions; try --length %d or fewer data tokens",
                length,
                dataTokens,
                2L * dataTokens,
                2L * dataTokens);
    }

    @Override
    public String name() {
        return "selective-copying";
    }

    /** With length and number of data tokens. */
    @Override
    public String label() {
        return "selective-copying-" + length + "-" + dataTokens;
    }

    @Override
    public int labelsPerRow() {
        return dataTokens;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("num_data_tokens", dataTokens, "input_seq_len", length);
    }

    @Override
    public OptionalDouble chance() {
        return OptionalDouble.of(1.0 / (vocabSize - FIRST_DATA));
    }

    private int contextLength() {
        return length - dataTokens;
    }

    /** {@inheritDoc} It is the distance from a marker to its data token. */
    @Override
    public int answerDistance(int[] inputs, int position) {
        int before = position - contextLength();
        for (int shown = 0; shown < contextLength() && before >= 0; shown++) {
            if (inputs[shown] >= FIRST_DATA && before-- == 0) {
                return position - shown;
            }
        }
        return NO_DISTANCE;
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        CounterRandom random = stream.random(Purpose.ROW);
        int context = contextLength();
        var sampler = new DistinctSampler(context, dataTokens);
        int[] places = new int[dataTokens];
        return (index, inputs, labels) -> {
            sampler.draw(random.reset(index), places);
            Arrays.sort(places);
            Arrays.fill(inputs, 0, context, NOISE);
            Arrays.fill(inputs, context, length, ASK);
            Arrays.fill(labels, IGNORE);
            for (int i = 0; i < dataTokens; i++) {
                int token = FIRST_DATA + random.nextInt(vocabSize - FIRST_DATA);
                inputs[places[i]] = token;
                labels[context + i] = token;
            }
        };
    }

    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> RowCheck.noLabels(labels, contextLength()))
                .or(() -> firstProblem(inputs, labels));
    }

    private Optional<String> firstProblem(int[] inputs, int[] labels) {
        int copied = contextLength();
        for (int position = 0; position < contextLength(); position++) {
            int token = inputs[position];
            if (token != NOISE && (token < FIRST_DATA || token >= vocabSize)) {
                return RowCheck.problem(position, "token %d is neither noise nor data", token);
            }
            if (token != NOISE && copied == length) {
                return RowCheck.problem(position, "there are more than %d data tokens", dataTokens);
            }
            if (token != NOISE) {
                if (inputs[copied] != ASK) {
                    return RowCheck.token(inputs, copied, ASK);
                }
                if (labels[copied] != token) {
                    return RowCheck.label(labels, copied, token);
                }
                copied++;
            }
        }
        return copied == length
                ? Optional.empty()
                : Optional.of("there are less than %d data tokens".formatted(dataTokens));
    }
}
