package dev.panthera.mixer;

import dev.panthera.UserException;

/** Checks of how a layer's channels are split into heads. */
final class Heads {
    private Heads() {}

    static void requirePositive(String mixer, int heads) {
        UserException.require(
                heads >= 1, "--heads %d: %s needs at least one head; try 1", heads, mixer);
    }

    static void requireDivisor(int heads, int width) {
        UserException.require(
                width % heads == 0,
                "--heads %d: heads must divide the width --d-model %d; try %d",
                heads,
                width,
                largestDivisor(width, heads));
    }

    private static int largestDivisor(int width, int atMost) {
        int divisor = Math.min(width, atMost);
        while (width % divisor != 0) {
            divisor--;
        }
        return divisor;
    }

    /** Channels of all heads. */
    static int width(int heads, int channels) {
        long width = (long) heads * channels;
        UserException.require(
                width <= Integer.MAX_VALUE,
                "--heads %d: %d channels for each are too many; try fewer",
                heads,
                channels);
        return (int) width;
    }
}
