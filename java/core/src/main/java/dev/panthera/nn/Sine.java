package dev.panthera.nn;

import dev.panthera.tensor.SineLayerOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * {@code sin(freq * x)} as a layer.
 *
 * @param freq {@code (1, channels)}
 */
public record Sine(Tensor freq) implements FeatureLayer {

    @Override
    public Tensor apply(Tape tape, Tensor x) {
        return SineLayerOperation.apply(tape, x, freq);
    }
}
