package dev.panthera.mixer;

import dev.panthera.UserException;

/** What the mixers with long filters have in common. */
final class Filters {

    private Filters() {}

    /** The number of taps of a filter: {@code maxLength}, or as many as the longest sequence where that is 0. */
    static int taps(int maxLength, Layer layer) {
        UserException.require(
                maxLength >= 0,
                "longest length %d of a filter: try 0, the longest length of the data",
                maxLength);
        return maxLength == 0 ? layer.length() : maxLength;
    }

    /** Fails for sequences that are longer than the filter was made for. */
    static void checkLength(String mixer, int length, int taps) {
        UserException.require(
                length <= taps,
                "%s: a sequence of length %d, but the filter was made for %d; train with sequences as long",
                mixer,
                length,
                taps);
    }

    /** Features come as the time and pairs of a cosine and a sine. */
    static void checkFeatures(int features) {
        UserException.require(
                features >= 3 && features % 2 == 1,
                "%d positional features: an odd number of at least 3 is needed; try 3",
                features);
    }
}
