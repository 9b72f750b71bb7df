package dev.panthera.mixer;

import dev.panthera.kernels.ArithmeticKernel;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.ReduceKernel;
import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.FilterLayout;
import dev.panthera.tensor.LongConvOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A filter as long as the sequence: {@code y[t] = sum_{s <= t} h[t - s] u[s] + skip u[t]}, of all positions by a convolution, or
 * of one after the other by a dot product of each channel with all inputs so far.
 *
 * @param values computes h
 * @param skip {@code (channels)} or null
 * @param method how a convolution is computed
 */
record LongFilter(
        Supplier<Tensor> values, FilterLayout layout, @Nullable Tensor skip, ConvMethod method) {

    /** Positions at once from which on everything is convolved anew, instead of a dot product for each. */
    private static final int MANY = 16;

    /** The outputs of the positions of {@code u}, which come behind those that the state has seen. */
    Tensor extend(Tape tape, Tensor u, DecodeState state) {
        tape.requireEvaluation("long filter");
        int position = state.position();
        int count = u.size(1);
        Tensor history = state.history("inputs", u);
        if (position == 0) {
            return convolve(tape, u);
        }
        if (count >= MANY) {
            Tensor seen = Rows.of(tape, history, 0, rounded(position + count, state.capacity()));
            return Rows.of(tape, convolve(tape, seen), position, count);
        }
        Tensor reversed = state.derived("filter", () -> reversed(tape, state.capacity()));
        Tensor y = Rows.allocate(tape, u, count);
        Tensor row = count == 1 ? y : Rows.allocate(tape, u, 1);
        for (int i = 0; i < count; i++) {
            multiply(tape, history, reversed, position + i + 1, row);
            if (count > 1) {
                Rows.copy(tape.stream(), row, 0, y, i, 1);
            }
        }
        return y;
    }

    /**
     * The same where the filter has so few taps that only the inputs that they will meet again are kept.
     *
     * @param taps of the filter
     */
    Tensor extendWithin(Tape tape, Tensor u, DecodeState state, int taps) {
        tape.requireEvaluation("long filter");
        Tensor seen = state.withPast(tape, "inputs", taps - 1, u);
        if (u.size(1) > 1) {
            return Rows.last(tape, convolve(tape, seen), u.size(1));
        }
        Tensor y = Rows.allocate(tape, u, 1);
        multiply(tape, seen, state.derived("filter", () -> reversed(tape, taps)), seen.size(1), y);
        return y;
    }

    /** The outputs of whole sequences. */
    Tensor convolve(Tape tape, Tensor u) {
        return LongConvOperation.apply(
                tape, Columns.of(u), null, null, values.get(), layout, skip, method);
    }

    /** Up to a power of two, so that few plans are made: rows that are still zero change no earlier output. */
    private static int rounded(int length, int atMost) {
        return (int) Math.min(Long.highestOneBit(2L * length - 1), atMost);
    }

    /** Sums the first {@code count} inputs, each times its tap: the newest times the last row of the filter. */
    private static void multiply(
            Tape tape, Tensor history, Tensor filter, int count, Tensor target) {
        DeviceStream stream = tape.stream();
        long batch = history.size(0);
        long channels = history.size(2);
        var product =
                new ArithmeticKernel(
                        ArithmeticKind.MULTIPLY,
                        new long[] {batch, count, channels},
                        new long[] {history.size(1) * channels, channels, 1},
                        new long[] {0, channels, 1});
        var sum = new ReduceKernel(Reduction.SUM, batch, count, channels);
        long elements = batch * count * channels;
        DeviceBuffer taps = filter.values();
        long newest = (filter.size(0) - count) * channels;
        try (var products = tape.scratch(elements * tape.type().bytes());
                var workspace = tape.scratch(sum.forwardWorkspaceBytes(stream))) {
            DeviceBuffer terms = products.buffer().view(0, tape.type(), elements);
            product.forward(
                    stream, history.values(), taps.slice(newest, taps.elements() - newest), terms);
            sum.forward(stream, terms, target.values(), Tape.Scratch.of(workspace));
        }
    }

    /** {@code (taps, channels)}, the first tap last, with the skip in it; as many taps as there are positions. */
    private Tensor reversed(Tape tape, int positions) {
        DeviceStream stream = tape.stream();
        Tensor filter = values.get();
        boolean tapsFirst = layout == FilterLayout.TAPS_FIRST;
        int taps = tapsFirst ? filter.size(-2) : filter.size(-1);
        int channels = Math.toIntExact(filter.size() / taps);
        int used = Math.min(taps, positions);
        double[] h = stream.toDoubleArray(filter.values());
        double[] skips = skip == null ? new double[channels] : stream.toDoubleArray(skip.values());
        double[] reversed = new double[Math.multiplyExact(used, channels)];
        for (int k = 0; k < used; k++) {
            int row = (used - 1 - k) * channels;
            for (int c = 0; c < channels; c++) {
                double tap = tapsFirst ? h[k * channels + c] : h[c * taps + k];
                reversed[row + c] = k == 0 ? tap + skips[c] : tap;
            }
        }
        Tensor result = tape.allocateConstant(tape.type(), used, channels);
        stream.copyToDevice(result.values(), reversed);
        return result;
    }
}
