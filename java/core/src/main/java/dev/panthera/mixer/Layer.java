package dev.panthera.mixer;

import dev.panthera.UserException;
import java.util.Objects;

/**
 * Where in a model a mixer stands.
 *
 * @param index of the layer, from 0
 * @param count of layers
 * @param width channels
 * @param length the longest sequence that the model will see
 */
public record Layer(int index, int count, int width, int length) {
    private static final int DROPOUT_SITES = 16;

    /**
     * Channels of a hidden layer that has {@code multiple} of them for each channel of the model.
     *
     * @throws UserException if they are more than an array can have
     */
    public int hidden(int multiple) {
        long channels = (long) multiple * width;
        UserException.require(
                channels <= Integer.MAX_VALUE,
                "--d-model %d: %d times as many channels are too many; try a smaller width",
                width,
                multiple);
        return (int) channels;
    }

    /** A key for the dropout at place {@code site} of this layer, distinct from all others of the model. */
    public long dropoutKey(int site) {
        return (long) index * DROPOUT_SITES + Objects.checkIndex(site, DROPOUT_SITES);
    }
}
