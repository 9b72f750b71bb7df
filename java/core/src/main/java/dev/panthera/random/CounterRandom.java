package dev.panthera.random;

import java.util.Objects;

/**
 * Random numbers that are a pure function of (seed, purpose, stream, index) and of the position within that sequence.
 * Sequences share no state, so results never depend on the number of threads or on what was drawn elsewhere.
 *
 * <p>The generator is Philox4x32-10 (Salmon et al. 2011). Key: the seed. Counter, from its lowest word: block number,
 * index low, index high, purpose (8 bits) and stream (24 bits). A sequence has 2<sup>34</sup> words before it repeats.
 * All arithmetic is exact or {@link StrictMath}: every platform gives the same bits. Not thread-safe; one per thread.
 */
public final class CounterRandom {

    /** Streams are numbered from 0 up to, not including, this bound. */
    public static final int STREAMS = 1 << 24;

    private static final int WORDS_PER_BLOCK = 4;
    private static final double UNIT_53 = 0x1p-53;

    private final int keyLow;
    private final int keyHigh;
    private final int purposeAndStream;
    private final int[] words = new int[WORDS_PER_BLOCK];
    private int indexLow;
    private int indexHigh;
    private int block;
    private int used;
    private double spareGaussian;

    private CounterRandom(long seed, Purpose purpose, int stream, long index) {
        keyLow = (int) seed;
        keyHigh = (int) (seed >>> 32);
        purposeAndStream = purpose.code() << 24 | Objects.checkIndex(stream, STREAMS);
        reset(index);
    }

    /** The sequence of (seed, purpose, stream 0, index). */
    public static CounterRandom of(long seed, Purpose purpose, long index) {
        return of(seed, purpose, 0, index);
    }

    /**
     * The sequence of (seed, purpose, stream, index).
     *
     * @throws IndexOutOfBoundsException if {@code stream} is not in [0, {@link #STREAMS})
     */
    public static CounterRandom of(long seed, Purpose purpose, int stream, long index) {
        return new CounterRandom(seed, purpose, stream, index);
    }

    /** Goes to the start of the sequence of another index, same seed, purpose and stream; returns this. */
    public CounterRandom reset(long index) {
        indexLow = (int) index;
        indexHigh = (int) (index >>> 32);
        block = 0;
        used = WORDS_PER_BLOCK;
        spareGaussian = Double.NaN;
        return this;
    }

    /** 32 uniform bits. */
    public int nextInt() {
        if (used == WORDS_PER_BLOCK) {
            Philox.block(block++, indexLow, indexHigh, purposeAndStream, keyLow, keyHigh, words);
            used = 0;
        }
        return words[used++];
    }

    /** 64 uniform bits; the first word drawn is the high half. */
    public long nextLong() {
        long high = nextInt();
        return high << 32 | nextInt() & 0xFFFFFFFFL;
    }

    /**
     * Uniform on [0, bound) without bias: the multiply-and-reject method of Lemire 2019 (arXiv 1805.10941).
     *
     * @throws IllegalArgumentException if {@code bound < 1}
     */
    public int nextInt(int bound) {
        if (bound < 1) {
            throw new IllegalArgumentException("bound must be at least 1, got " + bound);
        }
        long product = (nextInt() & 0xFFFFFFFFL) * bound;
        if ((product & 0xFFFFFFFFL) < bound) {
            long threshold = (1L << 32) % bound;
            while ((product & 0xFFFFFFFFL) < threshold) {
                product = (nextInt() & 0xFFFFFFFFL) * bound;
            }
        }
        return (int) (product >>> 32);
    }

    /** Uniform on the multiples of 2<sup>-53</sup> in [0, 1). */
    public double nextDouble() {
        return (nextLong() >>> 11) * UNIT_53;
    }

    /** Exponential with mean 1, by inversion. */
    public double nextExponential() {
        return 0.0 - StrictMath.log(1.0 - nextDouble());
    }

    /** Standard normal, by the transform of Box and Muller 1958; draws come in pairs. */
    public double nextGaussian() {
        if (!Double.isNaN(spareGaussian)) {
            double result = spareGaussian;
            spareGaussian = Double.NaN;
            return result;
        }
        double radius = StrictMath.sqrt(2.0 * nextExponential());
        double angle = 2.0 * Math.PI * nextDouble();
        spareGaussian = radius * StrictMath.sin(angle);
        return radius * StrictMath.cos(angle);
    }

    /** Permutes {@code values} uniformly (Fisher-Yates). */
    public void shuffle(int[] values) {
        for (int i = values.length - 1; i > 0; i--) {
            int j = nextInt(i + 1);
            int value = values[i];
            values[i] = values[j];
            values[j] = value;
        }
    }

    /** A uniform permutation of 0..size-1. */
    public int[] permutation(int size) {
        int[] values = new int[size];
        for (int i = 0; i < size; i++) {
            values[i] = i;
        }
        shuffle(values);
        return values;
    }
}
