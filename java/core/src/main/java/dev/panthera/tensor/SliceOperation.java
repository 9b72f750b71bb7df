package dev.panthera.tensor;

import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.StridedCopyKernel;
import java.util.Arrays;

/** A range of one dimension of a tensor; see {@link StridedCopyKernel}. */
public record SliceOperation(Range range, Tensor x, Tensor y) implements Operation {

    /** Entries {@code [first, first + count)} of a dimension. */
    record Range(int dimension, int first, int count) {

        /** Of a tensor; a negative dimension counts from the end. */
        static Range of(Tensor whole, int dimension, int first, int count) {
            int from = dimension < 0 ? whole.rank() + dimension : dimension;
            if (from < 0
                    || from >= whole.rank()
                    || first < 0
                    || count < 1
                    || first > whole.size(from) - count) {
                throw new IllegalArgumentException(
                        "%d entries from %d on of dimension %d of %s"
                                .formatted(count, first, dimension, whole));
            }
            return new Range(from, first, count);
        }

        int[] shape(Tensor whole) {
            int[] shape = whole.shape();
            shape[dimension] = count;
            return shape;
        }

        /** An array of the whole tensor, from the first element of the range on. */
        DeviceBuffer within(Tensor whole, DeviceBuffer array) {
            long skipped = first * Strides.dense(whole.shape())[dimension];
            return array.slice(skipped, array.elements() - skipped);
        }

        /** The copy out of the whole tensor. */
        StridedCopyKernel copyOut(Tensor whole) {
            int[] shape = shape(whole);
            return new StridedCopyKernel(shape, Strides.dense(whole.shape()), Strides.dense(shape));
        }
    }

    /**
     * @param dimension from which a range is taken; a negative one counts from the end
     * @return {@code count} entries of it from {@code first} on
     */
    public static Tensor apply(Tape tape, Tensor x, int dimension, int first, int count) {
        Range range = Range.of(x, dimension, first, count);
        var operation = new SliceOperation(range, x, tape.allocate(range.shape(x)));
        tape.run(operation);
        return operation.y;
    }

    /**
     * The converse for a tensor that outlives the step: writes {@code x} over the entries of {@code whole} from {@code first}
     * on, as decoding does with the keys of new positions. No gradient passes.
     *
     * @param x of the shape of {@code whole} but for that dimension
     */
    public static void write(Tape tape, Tensor x, Tensor whole, int dimension, int first) {
        int from = dimension < 0 ? whole.rank() + dimension : dimension;
        Range range = Range.of(whole, dimension, first, x.size(from));
        if (!Arrays.equals(range.shape(whole), x.shape())) {
            throw new IllegalArgumentException(
                    "slice: %s does not fit into dimension %d of %s"
                            .formatted(x, dimension, whole));
        }
        range.copyOut(whole)
                .reversed()
                .copy(tape.stream(), x.values(), range.within(whole, whole.values()));
    }

    @Override
    public String name() {
        return "slice";
    }

    @Override
    public void forward(Tape tape) {
        range.copyOut(x).copy(tape.stream(), range.within(x, x.values()), y.values());
    }

    @Override
    public void backward(Tape tape) {
        DeviceBuffer dx = tape.addGradient(x);
        if (dx != null) {
            range.copyOut(x).reversed().add(tape.stream(), y.gradient(), range.within(x, dx));
        }
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {y};
    }
}
