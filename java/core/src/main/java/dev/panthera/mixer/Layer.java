package dev.panthera.mixer;

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

    /** A key for the dropout at place {@code site} of this layer, distinct from all others of the model. */
    public long dropoutKey(int site) {
        return (long) index * DROPOUT_SITES + Objects.checkIndex(site, DROPOUT_SITES);
    }
}
