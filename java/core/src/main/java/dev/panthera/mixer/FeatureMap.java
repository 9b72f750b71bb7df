package dev.panthera.mixer;

import dev.panthera.kernels.FeatureKind;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * What linear attention makes of its queries and keys: features, whose dot product is the weight of a pair. A record, so that its
 * parameters are found.
 */
public interface FeatureMap extends Parameterized {

    /**
     * Where in their sequences the positions of a tensor stand.
     *
     * @param first position of the first one
     * @param length of the whole sequences, those positions included that are still to come
     */
    record Span(int first, int length) {}

    /**
     * @param x {@code (..., count, heads, channels)}, queries or keys of neighbouring positions
     * @return {@code (..., count, heads, size())}
     */
    Tensor apply(Tape tape, Tensor x, Span span);

    /** Features of a query or key. */
    int size();

    /** {@link #size} as the state sizes of the original count it. */
    default int publishedSize() {
        return size();
    }

    /** What the kernel of causal linear attention makes features of: if not of what {@link #apply} gives, of x itself. */
    default FeatureKind kernelFeatures() {
        return FeatureKind.GIVEN;
    }
}
