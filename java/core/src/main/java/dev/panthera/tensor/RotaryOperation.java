package dev.panthera.tensor;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.HeadLayout;
import dev.panthera.kernels.RotaryKernel;
import org.jspecify.annotations.Nullable;

/** Rotary position embedding; see {@link RotaryKernel}. */
public record RotaryOperation(
        RotaryKernel kernel, Columns x, @Nullable Tensor firstPosition, Tensor y)
        implements Operation {

    /**
     * @param x {@code (batch, length, heads * headDim)}, maybe part of a packed projection
     * @param interleaved false: pairs are elements {@code (i, i + headDim / 2)} of a head; true: {@code (2 i, 2 i + 1)}
     * @param base of the angles, usually 10000
     * @param firstPosition int32 {@code (1)}, the position of the first entry of the sequences; null: 0
     */
    public static Tensor apply(
            Tape tape,
            Columns x,
            int heads,
            boolean interleaved,
            double base,
            @Nullable Tensor firstPosition) {
        Tensor tensor = x.tensor();
        int headDim = x.count() / heads;
        if (tensor.rank() != 3 || headDim * heads != x.count() || headDim % 2 != 0) {
            throw new IllegalArgumentException(
                    "rotary embedding: %s with %d heads; expected (batch, length, heads * headDim) with an even headDim"
                            .formatted(x, heads));
        }
        int length = tensor.size(1);
        var kernel =
                new RotaryKernel(
                        interleaved,
                        false,
                        base,
                        tensor.size(0),
                        heads,
                        length,
                        headDim,
                        HeadLayout.rows(length, x.stride(), headDim),
                        HeadLayout.dense(length, heads, headDim));
        var operation = new RotaryOperation(kernel, x, firstPosition, tape.allocate(x.shape()));
        tape.run(operation);
        return operation.y;
    }

    /** As {@link #apply(Tape, Columns, int, boolean, double, Tensor)} from a position that the host knows and uploads. */
    public static Tensor apply(
            Tape tape, Columns x, int heads, boolean interleaved, double base, int firstPosition) {
        if (firstPosition == 0) {
            return apply(tape, x, heads, interleaved, base, null);
        }
        Tensor first = tape.allocateConstant(DataType.I32, 1);
        tape.stream().copyToDevice(first.values(), new int[] {firstPosition});
        return apply(tape, x, heads, interleaved, base, first);
    }

    @Override
    public String name() {
        return "rotary embedding";
    }

    @Override
    public void forward(Tape tape) {
        kernel.apply(tape.stream(), first(), x.values(), y.values());
    }

    @Override
    public void backward(Tape tape) {
        var gradients = new Columns.Gradients(tape, x);
        DeviceBuffer dx = gradients.of(0);
        if (dx != null) {
            kernel.adjoint().apply(tape.stream(), first(), y.gradient(), dx);
            gradients.give();
        }
    }

    private @Nullable DeviceBuffer first() {
        return firstPosition == null ? null : firstPosition.values();
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
