package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * The parity of the bits so far, at every position: one bit of state suffices, and each position depends on all before.
 *
 * <pre>
 *     input   1 1 0 1 0       L = 5
 *     label   1 0 0 1 1
 * </pre>
 *
 * <p>Source: the original's {@code circuits.cumulative_parity}, whose rows have one position less than its
 * {@code input_seq_len} says; here L is what the rows have.
 *
 * @param length L, at least 1
 */
public record CumulativeParity(int length) implements TaskConfig {

    /** @throws UserException if there are no bits */
    public CumulativeParity {
        UserException.require(
                length >= 1,
                "--length %d: a row of cumulative parity has at least one bit; try 16",
                length);
    }

    @Override
    public String name() {
        return "cumulative-parity";
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

    @Override
    public OptionalDouble chance() {
        return OptionalDouble.of(0.5);
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        CounterRandom random = stream.random(Purpose.ROW);
        return (index, inputs, labels) -> {
            Bits.write(random.reset(index), inputs, length);
            int parity = 0;
            for (int position = 0; position < length; position++) {
                parity ^= inputs[position];
                labels[position] = parity;
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
            Optional<String> wrong = RowCheck.label(labels, position, ones % 2);
            if (wrong.isPresent()) {
                return wrong;
            }
        }
        return Optional.empty();
    }
}
