package dev.panthera.nn;

import dev.panthera.kernels.Activation;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** {@code max(x, 0)} as a layer. */
public record Relu() implements FeatureLayer {

    @Override
    public Tensor apply(Tape tape, Tensor x) {
        return ActivationOperation.apply(tape, Activation.RELU, x);
    }
}
