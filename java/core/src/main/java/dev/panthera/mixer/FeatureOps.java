package dev.panthera.mixer;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.ArithmeticOperation;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** What several feature maps are composed of. */
final class FeatureOps {
    private FeatureOps() {}

    static Tensor scale(Tape tape, Tensor x, double factor) {
        return factor == 1 ? x : with(tape, ArithmeticKind.MULTIPLY, x, factor);
    }

    /** {@code max(x, least)} */
    static Tensor atLeast(Tape tape, Tensor x, double least) {
        return with(tape, ArithmeticKind.MAXIMUM, x, least);
    }

    /** {@code x} and a number, which for {@code kind} stands on the right. */
    static Tensor with(Tape tape, ArithmeticKind kind, Tensor x, double number) {
        return ArithmeticOperation.apply(tape, kind, x, tape.constant((float) number, 1));
    }

    static Tensor negate(Tape tape, Tensor x) {
        return scale(tape, x, -1);
    }

    static Tensor activate(Tape tape, Activation function, Tensor x) {
        return ActivationOperation.apply(tape, function, x);
    }

    /** {@code [x, -x]} */
    static Tensor bothSigns(Tape tape, Tensor x) {
        return ConcatenateOperation.apply(tape, -1, x, negate(tape, x));
    }
}
