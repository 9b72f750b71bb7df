package dev.panthera.task;

import dev.panthera.random.CounterRandom;

/** Draws distinct indices by some law. */
@FunctionalInterface
interface IndexSampler {

    /** Writes the draws, in order, to {@code out}. */
    void draw(CounterRandom random, int[] out);
}
