package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.Init;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.AttentionOperation;
import dev.panthera.tensor.BroadcastOperation;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.MatmulOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.SoftmaxOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.TriangularSolveOperation;
import org.jspecify.annotations.Nullable;

/**
 * Nyström attention as the original computes it. With the means q~ and k~ of queries and keys over segments,
 *
 * <pre>
 * y = softmax(q k~') Z softmax(q~ k') v        Z = pinv(softmax(q~ k~')), of scores over sqrt(channels)
 * </pre>
 *
 * and softmax attention where there are at least as many landmarks as positions. Two things are not as meant, and kept: all channels
 * are one head, whatever the number of heads; and each of the three softmaxes hides columns behind the number of the row, which are
 * landmarks in one place and positions in the other. So a query sees landmarks of segments that lie ahead, and a position t beyond
 * the number of landmarks is seen by none.
 */
public final class PublishedNystrom {
    private PublishedNystrom() {}

    /**
     * @param iterative whether the inverse is approached by iterations, or is the exact one
     * @param iterations of the approach, by {@code Z <- Z (13 - A Z (15 - A Z (7 - A Z))) / 4} (Xiong et al. 2021, eq. 11)
     * @param sharedStart whether the approach starts from {@code A' / c} with the largest c of all sequences, or of each its own: c
     *     is the largest sum of a column
     * @param skipTaps of a convolution of the values, centred at each position, which is added to the output; 0: none. It has a
     *     filter for each head, which heads do not share out but examples: example b gets that of head b modulo heads
     */
    public record Options(boolean iterative, int iterations, boolean sharedStart, int skipTaps) {
        public Options {
            UserException.require(
                    iterations >= 0,
                    "nystrom with %d iterations: expected 0 or more; try 6",
                    iterations);
            UserException.require(
                    skipTaps == 0 || skipTaps > 0 && skipTaps % 2 == 1,
                    "nystrom with a skip of %d taps: they are centred, so expected an odd number, or 0 for none; try 33",
                    skipTaps);
        }

        public static final Options USUAL = new Options(true, 6, false, 0);
    }

    /**
     * The convolution of values.
     *
     * @param weight {@code (heads, 1, taps, 1)}
     */
    public record Skip(Tensor weight) implements Parameterized {

        static @Nullable Skip of(int heads, int taps, Init init) {
            return taps == 0
                    ? null
                    : new Skip(init.uniform(1 / Math.sqrt(taps), heads, 1, taps, 1));
        }

        /** @param values {@code (batch, length, channels)}, of a batch that heads divides */
        private Tensor apply(Tape tape, Tensor values) {
            int heads = weight.size(0);
            int taps = weight.size(2);
            int batch = values.size(0);
            int length = values.size(1);
            UserException.require(
                    batch % heads == 0,
                    "nystrom's skip of %d heads: as published it deals its filters out to examples, so the batch of %d must be a multiple; "
                            + "try --heads 1",
                    heads,
                    batch);
            int channels = values.size(2);
            Tensor padded = padded(tape, values, taps / 2);
            Tensor grouped =
                    ReshapeOperation.apply(
                            tape, padded, batch / heads, heads, length + taps - 1, channels);
            Tensor filters = ReshapeOperation.apply(tape, weight, heads, taps, 1);
            Tensor sum = null;
            for (int tap = 0; tap < taps; tap++) {
                Tensor shifted = SliceOperation.apply(tape, grouped, 2, tap, length);
                Tensor term = shifted.times(SliceOperation.apply(tape, filters, 1, tap, 1));
                sum = sum == null ? term : sum.plus(term);
            }
            return ReshapeOperation.apply(tape, sum, values.shape());
        }
    }

    /** With zeros before and after each sequence. */
    private static Tensor padded(Tape tape, Tensor x, int rows) {
        if (rows == 0) {
            return x;
        }
        Tensor zeros =
                BroadcastOperation.apply(tape, tape.constant(0, 1), x.size(0), rows, x.size(2));
        return ConcatenateOperation.apply(tape, 1, zeros, x, zeros);
    }

    /**
     * @param packed {@code (batch, length, 3 * channels)}: queries, keys and values
     * @return {@code (batch, length, channels)}
     */
    static Tensor attend(
            Tape tape, Tensor packed, int landmarks, Options options, @Nullable Skip skip) {
        Tensor v = part(tape, packed, 2);
        Tensor y =
                landmarks >= packed.size(1)
                        ? AttentionOperation.apply(tape, packed, 1, 0, 0, 0)
                        : approximate(
                                tape,
                                part(tape, packed, 0),
                                part(tape, packed, 1),
                                v,
                                landmarks,
                                options);
        return skip == null ? y : y.plus(skip.apply(tape, v));
    }

    private static Tensor part(Tape tape, Tensor packed, int part) {
        int channels = packed.size(2) / 3;
        return SliceOperation.apply(tape, packed, 2, part * channels, channels);
    }

    private static Tensor approximate(
            Tape tape, Tensor q, Tensor k, Tensor v, int landmarks, Options options) {
        Tensor qLandmarks = pooled(tape, q, landmarks);
        Tensor kLandmarks = pooled(tape, k, landmarks);
        Tensor toLandmarks = weights(tape, q, kLandmarks);
        Tensor between = weights(tape, qLandmarks, kLandmarks);
        Tensor values = MatmulOperation.apply(tape, weights(tape, qLandmarks, k), v);
        if (!options.iterative) {
            Tensor solved = TriangularSolveOperation.apply(tape, between, values);
            return MatmulOperation.apply(tape, toLandmarks, solved);
        }
        Tensor inverse = inverse(tape, between, options);
        return MatmulOperation.apply(
                tape, MatmulOperation.apply(tape, toLandmarks, inverse), values);
    }

    /** Means of neighbouring rows. Where the segments cannot be equal, the last ones have a row more. */
    private static Tensor pooled(Tape tape, Tensor x, int segments) {
        int rows = x.size(1) / segments;
        int longer = x.size(1) % segments;
        int shorter = segments - longer;
        Tensor first = means(tape, x, 0, shorter, rows);
        return longer == 0
                ? first
                : ConcatenateOperation.apply(
                        tape, 1, first, means(tape, x, shorter * rows, longer, rows + 1));
    }

    private static Tensor means(Tape tape, Tensor x, int first, int segments, int rows) {
        Tensor part = SliceOperation.apply(tape, x, 1, first, segments * rows);
        int batch = x.size(0);
        int channels = x.size(2);
        Tensor split = ReshapeOperation.apply(tape, part, batch, segments, rows, channels);
        Tensor means = ReduceOperation.apply(tape, Reduction.MEAN, split, 2);
        return ReshapeOperation.apply(tape, means, batch, segments, channels);
    }

    private static Tensor weights(Tape tape, Tensor q, Tensor k) {
        float scale = (float) (1 / Math.sqrt(q.size(2)));
        Tensor scores = MatmulOperation.apply(tape, q, false, k, true, scale);
        return SoftmaxOperation.apply(
                tape, scores.plus(Triangles.mask(tape, q.size(1), k.size(1), 1)));
    }

    private static Tensor inverse(Tape tape, Tensor a, Options options) {
        int size = a.size(1);
        Tensor columns = ReduceOperation.apply(tape, Reduction.SUM, a, 1);
        Tensor largest =
                options.sharedStart
                        ? ReduceOperation.applyToAll(tape, Reduction.MAX, columns)
                        : ReduceOperation.apply(tape, Reduction.MAX, columns, 2);
        Tensor z = PermuteOperation.apply(tape, a, 0, 2, 1).dividedBy(largest);
        for (int i = 0; i < options.iterations; i++) {
            Tensor az = MatmulOperation.apply(tape, a, z);
            Tensor inner = Triangles.diagonal(tape, size, 7).minus(az);
            Tensor middle =
                    Triangles.diagonal(tape, size, 15)
                            .minus(MatmulOperation.apply(tape, az, inner));
            Tensor outer =
                    Triangles.diagonal(tape, size, 13)
                            .minus(MatmulOperation.apply(tape, az, middle));
            z = MatmulOperation.apply(tape, z, false, outer, false, 0.25f);
        }
        return z;
    }
}
