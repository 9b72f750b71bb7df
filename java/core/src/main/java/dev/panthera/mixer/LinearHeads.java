package dev.panthera.mixer;

import dev.panthera.UserException;

/** Checks of how linear attention is split into heads. */
final class LinearHeads {
    private LinearHeads() {}

    static void check(int heads, int width) {
        UserException.require(
                width % heads == 0,
                "--heads %d: heads must divide the width --d-model %d; try 1",
                heads,
                width);
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
