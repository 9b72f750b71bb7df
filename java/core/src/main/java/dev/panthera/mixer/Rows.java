package dev.panthera.mixer;

import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.StridedCopyKernel;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** Neighbouring rows of each sequence, moved between tensors {@code (batch, length, channels)} of different lengths. */
final class Rows {
    private Rows() {}

    /** Copies {@code count} rows of each sequence, from row {@code from} on, to row {@code to} of the target and on. */
    static void copy(
            DeviceStream stream, Tensor source, int from, Tensor target, int to, int count) {
        if (count == 0) {
            return;
        }
        long channels = source.size(2);
        var copy =
                new StridedCopyKernel(
                        new long[] {source.size(0), count * channels},
                        new long[] {source.size(1) * channels, 1},
                        new long[] {target.size(1) * channels, 1});
        copy.copy(stream, from(source, from * channels), from(target, to * channels));
    }

    private static DeviceBuffer from(Tensor tensor, long first) {
        DeviceBuffer values = tensor.values();
        return values.slice(first, values.elements() - first);
    }

    /**
     * Puts rows of neighbouring positions into a ring in which position t has row t modulo its length: the last ones, where
     * there are more than it has room for.
     *
     * @param position of the first row
     */
    static void copyToRing(DeviceStream stream, Tensor source, Tensor ring, int position) {
        int size = ring.size(1);
        int count = Math.min(source.size(1), size);
        int from = source.size(1) - count;
        int to = (position + from) % size;
        int untilWrap = Math.min(count, size - to);
        copy(stream, source, from, ring, to, untilWrap);
        copy(stream, source, from + untilWrap, ring, 0, count - untilWrap);
    }

    /** Puts the {@code count} positions before {@code position} into the first rows of the target, from such a ring. */
    static void copyFromRing(
            DeviceStream stream, Tensor ring, int position, Tensor target, int count) {
        int size = ring.size(1);
        int from = (position - count) % size;
        int untilWrap = Math.min(count, size - from);
        copy(stream, ring, from, target, 0, untilWrap);
        copy(stream, ring, 0, target, untilWrap, count - untilWrap);
    }

    /** A tensor of the step with other rows than {@code like} has. */
    static Tensor allocate(Tape tape, Tensor like, int count) {
        return tape.allocate(like.size(0), count, like.size(2));
    }

    /**
     * Some rows of each sequence as a tensor of the tape, for the span of the step: of the same memory where they are
     * neighbours.
     */
    static Tensor of(Tape tape, Tensor tensor, int first, int count) {
        int batch = tensor.size(0);
        if (batch > 1 && count < tensor.size(1)) {
            return SliceOperation.apply(tape, tensor, 1, first, count);
        }
        long channels = tensor.size(2);
        var neighbours = tensor.values().slice(first * channels, channels * batch * count);
        int[] shape = {batch, count, tensor.size(2)};
        return ReshapeOperation.apply(tape, Tensor.wrap(neighbours, shape), shape);
    }

    /** The last rows of each sequence. */
    static Tensor last(Tape tape, Tensor tensor, int count) {
        return of(tape, tensor, tensor.size(1) - count, count);
    }
}
