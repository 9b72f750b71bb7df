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

    /**
     * Lists of different blocks, one for each position of sequences: of those up to its own, one from each of {@code slots}
     * equal parts; -1 where a part has none.
     */
    static int[] lists(long seed, long count, int length, int slots, int blockSize) {
        var random = new SplittableRandom(seed);
        int[] lists = new int[Math.toIntExact(count)];
        for (int i = 0; i < lists.length; i++) {
            long blocks = i / slots % length / blockSize + 1;
            int begin = (int) (i % slots * blocks / slots);
            int end = (int) ((i % slots + 1) * blocks / slots);
            lists[i] = begin < end ? random.nextInt(begin, end) : -1;
        }
        return lists;
    }
}
