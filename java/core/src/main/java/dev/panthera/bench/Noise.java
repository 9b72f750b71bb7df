package dev.panthera.bench;

import java.util.SplittableRandom;

/** Arbitrary inputs, the same in every run. */
final class Noise {
    private Noise() {}

    /** Uniform on [-1, 1). */
    static float[] floats(long seed, long count) {
        var random = new SplittableRandom(seed);
        float[] values = new float[Math.toIntExact(count)];
        for (int i = 0; i < values.length; i++) {
            values[i] = 2 * (float) random.nextDouble() - 1;
        }
        return values;
    }

    /** Uniform on 0, 1, ..., bound - 1. */
    static int[] integers(long seed, long count, int bound) {
        return new SplittableRandom(seed).ints(count, 0, bound).toArray();
    }
}
