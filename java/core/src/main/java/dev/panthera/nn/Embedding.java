package dev.panthera.nn;

import dev.panthera.tensor.Tensor;

/**
 * A table of vectors.
 *
 * @param weight {@code (rows, channels)}
 */
public record Embedding(Tensor weight) implements Parameterized {

    public static Embedding of(int rows, int channels, boolean trainable, Init init) {
        return of(EmbeddingInit.DEFAULT, rows, channels, trainable, init);
    }

    public static Embedding of(
            EmbeddingInit start, int rows, int channels, boolean trainable, Init init) {
        return new Embedding(init.embedding(start, rows, channels, trainable));
    }
}
