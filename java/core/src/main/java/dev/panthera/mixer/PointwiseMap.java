package dev.panthera.mixer;

import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** A feature map without parameters that knows no positions: its options are all there is to it. */
public record PointwiseMap(Formula formula, int width) implements FeatureMap {

    /** The options of such a map, and what it does. */
    public interface Formula extends FeatureMapConfig {

        /** Features of the vectors in the last dimension. */
        Tensor apply(Tape tape, Tensor x);

        /** How many features there are of each channel. */
        default int perChannel() {
            return 1;
        }

        @Override
        default FeatureMap build(int width, Init init) {
            return new PointwiseMap(this, width);
        }
    }

    @Override
    public Tensor apply(Tape tape, Tensor x, Span span) {
        return formula.apply(tape, x);
    }

    @Override
    public int size() {
        return width * formula.perChannel();
    }

    /** The original overlooks that some of these maps give two features of each channel. */
    @Override
    public int publishedSize() {
        return width;
    }
}
