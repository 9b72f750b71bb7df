package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Whether at least half of the bits so far are set, at every position: a count suffices, so a uniform average over the past
 * does. A tie counts as a majority here, unlike in {@link Majority}.
 *
 * <pre>
 *     input   1 0 0 0 1       L = 5
 *     label   1 1 0 0 0
 * </pre>
 *
 * <p>Source: the original's {@code circuits.cumulative_majority}.
 *
 * @param length L, at least 1
 */
public record CumulativeMajority(int length) implements TaskConfig {

    /** @throws UserException if there are no bits */
    public CumulativeMajority {
        UserException.require(
                length >= 1,
                "--length %d: a row of cumulative majority has at least one bit; try 16",
                length);
    }

    @Override
    public String name() {
        return "cumulative-majority";
    }

    /** Bits alone. */
    @Override
    public int vocabSize() {
        return 2;
    }

    @Override
    public int labelsPerRow() {
        return length;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("input_seq_len", length);
    }

    /** {@inheritDoc} It is what the answer 1 everywhere earns, thanks to ties. */
    @Override
    public OptionalDouble chance() {
        double ties = 0;
        double tie = 1;
        for (int bits = 2; bits <= length; bits += 2) {
            tie *= (bits - 1.0) / bits;
            ties += tie;
        }
        return OptionalDouble.of((1 + ties / length) / 2);
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        CounterRandom random = stream.random(Purpose.ROW);
        return (index, inputs, labels) -> {
            Bits.write(random.reset(index), inputs, length);
            int lead = 0;
            for (int position = 0; position < length; position++) {
                lead += 2 * inputs[position] - 1;
                labels[position] = lead >= 0 ? 1 : 0;
            }
        };
    }

    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> Bits.check(inputs, length))
                .or(() -> firstWrongLabel(inputs, labels));
    }

    private static Optional<String> firstWrongLabel(int[] inputs, int[] labels) {
        int ones = 0;
        for (int position = 0; position < inputs.length; position++) {
            ones += inputs[position];
            Optional<String> wrong =
                    RowCheck.label(labels, position, 2 * ones >= position + 1 ? 1 : 0);
            if (wrong.isPresent()) {
                return wrong;
            }
        }
        return Optional.empty();
    }
}
