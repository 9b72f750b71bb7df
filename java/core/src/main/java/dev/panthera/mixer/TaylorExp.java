package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.scale;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.FeatureKind;
import dev.panthera.nn.Init;
import dev.panthera.tensor.ArithmeticOperation;
import dev.panthera.tensor.BroadcastOperation;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The exponential's Taylor series to the second order: {@code phi(q) . phi(k) = 1 + s + s^2 / 2} with
 * {@code s = q . k / sqrt(f)} for f channels (Arora et al. 2024, arXiv 2402.18668, eq. 5). Causal attention never forms the
 * features of a position; see {@link FeatureKind#TAYLOR}.
 *
 * @param width f
 * @param symmetric whether each product of two channels is one feature, of 1 + f + f (f + 1) / 2, or two, of 1 + f + f^2; the
 *     dot products are the same
 */
public record TaylorExp(int width, boolean symmetric) implements FeatureMap {

    public record Config() implements FeatureMapConfig {
        @Override
        public TaylorExp build(int width, Init init) {
            return new TaylorExp(width, true);
        }
    }

    /** {@code [1, x / f^(1/4), products]} */
    @Override
    public Tensor apply(Tape tape, Tensor x, Span span) {
        int[] single = x.shape();
        single[x.rank() - 1] = 1;
        List<Tensor> parts = new ArrayList<>();
        parts.add(BroadcastOperation.apply(tape, tape.constant(1, 1), single));
        parts.add(scale(tape, x, Math.pow(width, -0.25)));
        if (symmetric) {
            addTriangle(tape, x, parts);
        } else {
            parts.add(scale(tape, outer(tape, x), Math.sqrt(0.5 / width)));
        }
        return ConcatenateOperation.apply(tape, -1, parts.toArray(Tensor[]::new));
    }

    /** The squares, and each product of a channel with an earlier one. */
    private void addTriangle(Tape tape, Tensor x, List<Tensor> parts) {
        parts.add(scale(tape, activate(tape, Activation.SQUARE, x), Math.sqrt(0.5 / width)));
        Tensor scaled = scale(tape, x, 1 / Math.sqrt(width));
        for (int i = 1; i < width; i++) {
            parts.add(
                    ArithmeticOperation.apply(
                            tape,
                            ArithmeticKind.MULTIPLY,
                            SliceOperation.apply(tape, scaled, -1, 0, i),
                            SliceOperation.apply(tape, x, -1, i, 1)));
        }
    }

    private static Tensor outer(Tape tape, Tensor x) {
        int[] shape = x.shape();
        int last = x.rank() - 1;
        int[] column = Arrays.copyOf(shape, x.rank() + 1);
        column[x.rank()] = 1;
        int[] row = column.clone();
        row[last] = 1;
        row[last + 1] = shape[last];
        Tensor products =
                ArithmeticOperation.apply(
                        tape,
                        ArithmeticKind.MULTIPLY,
                        ReshapeOperation.apply(tape, x, column),
                        ReshapeOperation.apply(tape, x, row));
        shape[last] *= shape[last];
        return ReshapeOperation.apply(tape, products, shape);
    }

    @Override
    public int size() {
        return symmetric ? publishedSize() : 1 + width + width * width;
    }

    /** That of the symmetric form, which the original counts and does not compute. */
    @Override
    public int publishedSize() {
        return 1 + width + width * (width + 1) / 2;
    }

    @Override
    public FeatureKind kernelFeatures() {
        return symmetric ? FeatureKind.TAYLOR : FeatureKind.GIVEN;
    }
}
