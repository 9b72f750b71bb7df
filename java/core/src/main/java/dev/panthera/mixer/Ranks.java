package dev.panthera.mixer;

import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.DataType;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** What trained scores are compared by. */
final class Ranks {
    private static final int PLACES = 10;
    private static final int F32_PLACES = 23;
    private static final int F64_PLACES = 52;

    private Ranks() {}

    /**
     * The nearest multiples of 2^-10 of scores up to a thousand. A product rounds a row by the rows beside it, so positions
     * with equal inputs would be told apart by chance, and a decoder would choose others than the whole sequence does.
     */
    static Tensor rounded(Tape tape, Tensor scores) {
        int places = tape.type() == DataType.F64 ? F64_PLACES : F32_PLACES;
        double large = 1.5 * Math.scalb(1.0, places - PLACES); // whose neighbours are 2^-10 apart
        Tensor moved = FeatureOps.with(tape, ArithmeticKind.ADD, scores, large);
        return FeatureOps.with(tape, ArithmeticKind.SUBTRACT, moved, large);
    }
}
