package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Whether more than half of the bits are set: L - 1 fair bits, then the token 2, whose label is 1 if their sum is more than
 * (L - 1) / 2, else 0; a tie is no majority.
 *
 * <pre>
 *     input   1 1 0 1 2       L = 5
 *     label   . . . . 1
 * </pre>
 *
 * <p>Source: the original's {@code circuits.majority}.
 *
 * @param length L, at least 2
 */
public record Majority(int length) implements TaskConfig {

    private static final int END = 2;

    /** @throws UserException if there are no bits */
    public Majority {
        UserException.require(
                length >= 2,
                "--length %d: a row of majority is at least one bit and the end; try 16",
                length);
    }

    @Override
    public String name() {
        return "majority";
    }

    /** Bits 0 and 1, and the end. */
    @Override
    public int vocabSize() {
        return END + 1;
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
        return OptionalDouble.of((1 + Bits.tie(length - 1)) / 2);
    }

    private int majority(int[] inputs) {
        int bits = length - 1;
        return 2 * Bits.sum(inputs, bits) > bits ? 1 : 0;
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        CounterRandom random = stream.random(Purpose.ROW);
        int bits = length - 1;
        return (index, inputs, labels) -> {
            Bits.write(random.reset(index), inputs, bits);
            inputs[bits] = END;
            Arrays.fill(labels, IGNORE);
            labels[bits] = majority(inputs);
        };
    }

    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        int bits = length - 1;
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> Bits.check(inputs, bits))
                .or(() -> RowCheck.token(inputs, bits, END))
                .or(() -> RowCheck.lastLabel(labels, majority(inputs)));
    }
}
