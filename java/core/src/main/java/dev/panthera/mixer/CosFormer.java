package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.scale;
import static dev.panthera.mixer.FeatureOps.with;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.nn.Init;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.CumulativeSumOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * {@code [a sin(angle), a cos(angle)]} of {@code a = max(x, 0)}, where the angle goes from 0 to a quarter turn over the sequence, so
 * that weights fall with the distance (Qin et al. 2022, arXiv 2202.08791, eq. 10, 12). The features of a position depend on how
 * long the whole sequence is: who decodes must say so before.
 *
 * @param width channels
 */
public record CosFormer(int width) implements FeatureMap {

    public record Config() implements FeatureMapConfig {
        @Override
        public CosFormer build(int width, Init init) {
            return new CosFormer(width);
        }
    }

    @Override
    public Tensor apply(Tape tape, Tensor x, Span span) {
        Tensor angle = angles(tape, x.size(-3), span);
        Tensor shifted = with(tape, ArithmeticKind.ADD, angle, Math.PI / 2);
        Tensor positive = activate(tape, Activation.RELU, x);
        return ConcatenateOperation.apply(
                tape,
                -1,
                positive.times(activate(tape, Activation.SINE, angle)),
                positive.times(activate(tape, Activation.SINE, shifted)));
    }

    /** {@code (count, 1, 1)}: the position, counted from 1, over the length, as part of a quarter turn. */
    private static Tensor angles(Tape tape, int count, Span span) {
        Tensor ones = ReshapeOperation.apply(tape, tape.constant(1, count), count, 1, 1);
        Tensor numbers = CumulativeSumOperation.apply(tape, ones, 0);
        return scale(tape, after(tape, numbers, span.first()), Math.PI / 2 / span.length());
    }

    /** Uploads the number of earlier positions: a constant of the tape would be kept for every step of a decoder. */
    private static Tensor after(Tape tape, Tensor numbers, int earlier) {
        if (earlier == 0) {
            return numbers;
        }
        Tensor offset = tape.allocateConstant(tape.type(), 1);
        tape.stream().copyToDevice(offset.values(), new float[] {earlier});
        return numbers.plus(offset);
    }

    @Override
    public int size() {
        return 2 * width;
    }
}
