package dev.panthera.bench;

import dev.panthera.UserException;

/**
 * The sizes of a kernel's work; each kernel uses some of them.
 *
 * @param batch sequences
 * @param length positions of a sequence
 * @param channels of a position
 * @param heads of attention, which divide the channels
 * @param taps of the short convolution
 * @param vocab tokens of the embedding and of the vocabulary loss
 * @param chosen positions of a sequence that attend in selected attention; all of them where there are fewer
 */
public record KernelSizes(
        int batch, int length, int channels, int heads, int taps, int vocab, int chosen) {
    public KernelSizes {
        require("--batch", batch);
        require("--length", length);
        require("--channels", channels);
        require("--heads", heads);
        require("--taps", taps);
        require("--chosen", chosen);
        UserException.require(
                vocab >= 2, "--vocab %d: at least two tokens are needed; try 8192", vocab);
        UserException.require(
                channels % heads == 0,
                "--heads %d: heads must divide --channels %d",
                heads,
                channels);
        long largest = (long) batch * length * channels;
        UserException.require(
                largest <= Integer.MAX_VALUE / 3,
                "%d x %d x %d elements are too many; use a smaller --batch, --length or --channels",
                batch,
                length,
                channels);
    }

    private static void require(String option, int value) {
        UserException.require(value >= 1, "%s %d: it must be at least 1", option, value);
    }

    int headDim() {
        return channels / heads;
    }
}
