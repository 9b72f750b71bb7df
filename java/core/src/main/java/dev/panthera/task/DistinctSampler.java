package dev.panthera.task;

import dev.panthera.random.CounterRandom;

/** Draws distinct integers uniformly from [0, population) in O(draws): a Fisher-Yates shuffle cut short and undone. */
final class DistinctSampler implements IndexSampler {

    private final int[] items;
    private final int[] swaps;

    DistinctSampler(int population, int draws) {
        items = new int[population];
        swaps = new int[draws];
        for (int i = 0; i < population; i++) {
            items[i] = i;
        }
    }

    /** Writes the draws, in order, to the start of {@code out}. */
    @Override
    public void draw(CounterRandom random, int[] out) {
        for (int i = 0; i < swaps.length; i++) {
            swaps[i] = i + random.nextInt(items.length - i);
            swap(i, swaps[i]);
            out[i] = items[i];
        }
        for (int i = swaps.length - 1; i >= 0; i--) {
            swap(i, swaps[i]);
        }
    }

    private void swap(int i, int j) {
        int item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}
