package dev.panthera.task;

import dev.panthera.random.CounterRandom;
import java.util.Optional;

/** Random bits, which the circuit tasks are about. */
final class Bits {
    private Bits() {}

    /** Writes {@code count} fair bits to the start of a row. */
    static void write(CounterRandom random, int[] inputs, int count) {
        int word = 0;
        for (int i = 0; i < count; i++) {
            word = i % Integer.SIZE == 0 ? random.nextInt() : word >>> 1;
            inputs[i] = word & 1;
        }
    }

    /** The sum of the first bits. */
    static int sum(int[] inputs, int count) {
        int sum = 0;
        for (int i = 0; i < count; i++) {
            sum += inputs[i];
        }
        return sum;
    }

    /** Whether the first tokens of a row are bits. */
    static Optional<String> check(int[] inputs, int count) {
        return RowCheck.tokens(inputs, 0, count, 0, 2);
    }

    /** Probability that half of {@code count} fair bits are set: 0 for an odd number. */
    static double tie(int count) {
        if (count % 2 != 0) {
            return 0;
        }
        double probability = 1;
        for (int i = 1; i <= count / 2; i++) {
            probability *= (2.0 * i - 1) / (2.0 * i);
        }
        return probability;
    }
}
