package dev.panthera.mixer;

import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.AttentionRowsOperation;
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
 * The landmarks of {@link Nystrom}: one for each segment that has ended. Those of a whole sequence, or those that come behind others
 * in decoding.
 *
 * @param heads side by side in queries, keys and values
 * @param segment positions of a segment
 * @param ridge added to the diagonal, and weight of a segment's mean value
 */
record NystromLandmarks(int heads, int segment, float ridge) {

    /** Landmarks by what they attend with and to. */
    record Points(Tensor keys, Tensor stand) {}

    /**
     * Means of whole segments.
     *
     * @param x {@code (batch, rows, channels)}
     * @param first row of the first segment
     * @return {@code (batch, count, channels)}
     */
    Tensor means(Tape tape, Tensor x, int first, int count) {
        int batch = x.size(0);
        Tensor rows = SliceOperation.apply(tape, x, 1, first, count * segment);
        Tensor split = ReshapeOperation.apply(tape, rows, batch, count, segment, x.size(2));
        Tensor means = ReduceOperation.apply(tape, Reduction.MEAN, split, 2);
        return ReshapeOperation.apply(tape, means, batch, count, x.size(2));
    }

    /**
     * New landmarks.
     *
     * @param queries {@code (batch, count, channels)}: means of the queries of their segments
     * @param means {@code (batch, count, 2 * channels)}: those of keys and values
     * @param keysAndValues {@code (batch, length, 2 * channels)} of all positions
     * @param ends int32 {@code (1, batch * count)}: rows of the last positions of their segments
     * @param earlier landmarks before them; null if there are none
     */
    Points solve(
            Tape tape,
            Tensor queries,
            Tensor means,
            Tensor keysAndValues,
            Tensor ends,
            @Nullable Points earlier) {
        int channels = queries.size(2);
        Tensor keys = SliceOperation.apply(tape, means, 2, 0, channels);
        Tensor values = SliceOperation.apply(tape, means, 2, channels, channels);
        Tensor attended = attended(tape, queries, keysAndValues, ends);
        Tensor right = headsFirst(tape, attended.plus(FeatureOps.scale(tape, values, ridge)));
        int count = queries.size(1);
        int before = earlier == null ? 0 : earlier.keys.size(1);
        Tensor weights =
                weights(
                        tape,
                        queries,
                        earlier == null
                                ? keys
                                : ConcatenateOperation.apply(tape, 1, earlier.keys, keys));
        if (earlier != null) {
            Tensor known = SliceOperation.apply(tape, weights, 3, 0, before);
            Tensor stand = headsFirst(tape, earlier.stand);
            right = right.minus(MatmulOperation.apply(tape, known, stand));
            weights = SliceOperation.apply(tape, weights, 3, before, count);
        }
        Tensor diagonal =
                count == 1 ? tape.constant(ridge, 1) : Triangles.diagonal(tape, count, ridge);
        Tensor solved = TriangularSolveOperation.apply(tape, weights.plus(diagonal), right);
        Tensor sideBySide = PermuteOperation.apply(tape, solved, 0, 2, 1, 3);
        return new Points(keys, ReshapeOperation.apply(tape, sideBySide, queries.shape()));
    }

    /** What the landmarks' queries see of all positions up to the ends of their segments. */
    private Tensor attended(Tape tape, Tensor queries, Tensor keysAndValues, Tensor ends) {
        Tensor rows = ReshapeOperation.apply(tape, queries, 1, -1, queries.size(2));
        Tensor seen = AttentionRowsOperation.apply(tape, rows, keysAndValues, ends, heads, 0, 0, 0);
        return ReshapeOperation.apply(tape, seen, queries.shape());
    }

    /** The last rows of A, one for each query. */
    private Tensor weights(Tape tape, Tensor queries, Tensor keys) {
        int count = queries.size(1);
        int all = keys.size(1);
        Tensor q = headsFirst(tape, queries);
        float scale = (float) (1 / Math.sqrt(q.size(3)));
        Tensor scores = MatmulOperation.apply(tape, q, false, headsFirst(tape, keys), true, scale);
        return SoftmaxOperation.apply(
                tape,
                count == 1
                        ? scores
                        : scores.plus(Triangles.mask(tape, count, all, all - count + 1)));
    }

    /** {@code (batch, heads, rows, headDim)} */
    private Tensor headsFirst(Tape tape, Tensor x) {
        int headDim = x.size(2) / heads;
        Tensor split = ReshapeOperation.apply(tape, x, x.size(0), x.size(1), heads, headDim);
        return PermuteOperation.apply(tape, split, 0, 2, 1, 3);
    }
}
