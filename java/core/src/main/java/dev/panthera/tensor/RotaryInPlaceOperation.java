package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.HeadLayout;
import dev.panthera.kernels.RotaryKernel;
import org.jspecify.annotations.Nullable;

/**
 * Rotary positions of a projection's first columns, written over them: what stands beside them, such as values behind queries and
 * keys, need not be copied. See {@link RotaryKernel}. The operation that computed x must not need x for its backward.
 */
public record RotaryInPlaceOperation(
        RotaryKernel kernel, Tensor x, @Nullable Tensor firstPosition, Tensor y)
        implements Operation {

    /** Of the angles. */
    private static final double BASE = 10_000;

    /**
     * @param x {@code (batch, length, columns)} of this step, which nothing else reads; pairs are the elements
     *     {@code (i, i + headDim / 2)} of a head
     * @param heads that are rotated, from column 0 on
     * @param firstPosition int32 {@code (1)}, the position of the first entry of each sequence; null: 0
     * @return x, of which the first {@code heads * headDim} columns are rotated
     */
    public static Tensor apply(
            Tape tape, Tensor x, int heads, int headDim, @Nullable Tensor firstPosition) {
        int columns = x.size(-1);
        if (x.rank() != 3 || headDim % 2 != 0 || (long) heads * headDim > columns) {
            throw new IllegalArgumentException(
                    "rotary positions: %d heads of %d channels in %s".formatted(heads, headDim, x));
        }
        int length = x.size(1);
        var layout = HeadLayout.rows(length, columns, headDim);
        var kernel =
                new RotaryKernel(
                        false, false, BASE, x.size(0), heads, length, headDim, layout, layout);
        Tensor y = Tensor.of(x.shareValues(), tape.training() && x.requiresGradient(), x.shape());
        var operation = new RotaryInPlaceOperation(kernel, x, firstPosition, y.on(tape));
        tape.run(operation);
        return y;
    }

    @Override
    public String name() {
        return "rotary positions";
    }

    @Override
    public void forward(Tape tape) {
        kernel.apply(tape.stream(), first(), y.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        if (!x.requiresGradient()) {
            return;
        }
        var dx = tape.reuseGradient(y);
        if (dx == null) {
            dx = tape.newGradient(y);
            tape.stream().copy(dx.buffer(), y.gradient());
        }
        kernel.adjoint().apply(tape.stream(), first(), dx.buffer(), dx.buffer());
        tape.give(dx, x);
    }

    private @Nullable DeviceBuffer first() {
        return firstPosition == null ? null : firstPosition.values();
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
