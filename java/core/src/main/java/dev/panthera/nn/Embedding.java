package dev.panthera.nn;

import dev.panthera.tensor.Tensor;
import java.util.Arrays;

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

    /** A frozen table of what this one starts from, with a row of zeros behind it; for before it is on a device. */
    public Embedding atStartWithZeros() {
        float[] start = weight.initialValues();
        int channels = weight.size(1);
        float[] values = Arrays.copyOf(start, Math.addExact(start.length, channels));
        return new Embedding(Tensor.parameter(values, false, weight.size(0) + 1, channels));
    }
}
