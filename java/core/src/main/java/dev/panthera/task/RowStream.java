package dev.panthera.task;

import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Objects;

/**
 * Names the random numbers of a segment's rows: they depend on these three values and the row's index, on nothing else.
 *
 * @param seed    seed of the data
 * @param split   split that the segment belongs to
 * @param segment place of the segment in its split's list, in [0, {@link #SEGMENTS})
 */
public record RowStream(long seed, Split split, int segment) {

    /** Segments of a split are numbered from 0 up to, not including, this bound. */
    public static final int SEGMENTS = 1 << 16;

    public RowStream {
        Objects.checkIndex(segment, SEGMENTS);
    }

    /** A generator to {@link CounterRandom#reset reset} to a row, or to an epoch, before drawing. */
    public CounterRandom random(Purpose purpose) {
        return CounterRandom.of(seed, purpose, split.code() * SEGMENTS + segment, 0);
    }
}
