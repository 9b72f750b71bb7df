package dev.panthera.nn;

import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.List;

/** A layer that maps each position by itself, as a part of a sequence of such layers. */
public interface FeatureLayer extends Parameterized {

    /** Maps {@code (..., in)} to {@code (..., out)}. */
    Tensor apply(Tape tape, Tensor x);

    /** One layer after the other. */
    static Tensor applyAll(Tape tape, List<? extends FeatureLayer> layers, Tensor x) {
        for (FeatureLayer layer : layers) {
            x = layer.apply(tape, x);
        }
        return x;
    }
}
