package dev.panthera.mixer;

import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.Reduction;
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
     * New landmarks.
     *
     * @param queries {@code (batch, count * segment, channels)}, of whole segments
     * @param keysAndValues {@code (batch, count * segment, 2 * channels)} likewise
     * @param earlier landmarks before them; null if there are none
     */
    Points solve(Tape tape, Tensor queries, Tensor keysAndValues, @Nullable Points earlier) {
        int count = queries.size(1) / segment;
        int before = earlier == null ? 0 : earlier.keys.size(1);
        Tensor q = headsFirst(tape, means(tape, queries));
        Tensor means = means(tape, keysAndValues);
        Tensor keys = half(tape, means, 0);
        Tensor all =
                earlier == null ? keys : ConcatenateOperation.apply(tape, 1, earlier.keys, keys);
        Tensor scores = scores(tape, q, headsFirst(tape, all));
        Tensor weights =
                SoftmaxOperation.apply(
                        tape,
                        count == 1
                                ? scores
                                : scores.plus(
                                        Triangles.mask(tape, count, before + count, before + 1)));
        Seen seen = see(tape, q, scores, before, keysAndValues);
        Tensor matrix = seen.without(tape, weights);
        Tensor right =
                seen.near.plus(
                        FeatureOps.scale(tape, headsFirst(tape, half(tape, means, 1)), ridge));
        if (earlier != null) {
            Tensor known = SliceOperation.apply(tape, matrix, 3, 0, before);
            Tensor stand = headsFirst(tape, earlier.stand);
            right = right.minus(MatmulOperation.apply(tape, known, stand));
            matrix = SliceOperation.apply(tape, matrix, 3, before, count);
        }
        Tensor diagonal =
                count == 1 ? tape.constant(ridge, 1) : Triangles.diagonal(tape, count, ridge);
        Tensor solved = TriangularSolveOperation.apply(tape, matrix.plus(diagonal), right);
        Tensor sideBySide = PermuteOperation.apply(tape, solved, 0, 2, 1, 3);
        return new Points(keys, ReshapeOperation.apply(tape, sideBySide, keys.shape()));
    }

    /**
     * What the landmarks' queries see, as queries at the ends of their segments do.
     *
     * @param far {@code (batch, heads, count, columns)}: weights of the landmarks of earlier segments, for the first of all columns;
     *     null if there are none
     * @param near {@code (batch, heads, count, headDim)}: values of their own segments, weighted
     */
    private record Seen(@Nullable Tensor far, Tensor near) {

        /** Weights of landmarks, less those that are here. */
        Tensor without(Tape tape, Tensor weights) {
            if (far == null) {
                return weights;
            }
            int columns = far.size(3);
            int rest = weights.size(3) - columns;
            return rest == 0
                    ? weights.minus(far)
                    : ConcatenateOperation.apply(
                            tape,
                            3,
                            SliceOperation.apply(tape, weights, 3, 0, columns).minus(far),
                            SliceOperation.apply(tape, weights, 3, columns, rest));
        }
    }

    private Seen see(Tape tape, Tensor q, Tensor scores, int before, Tensor keysAndValues) {
        int batch = q.size(0);
        int count = q.size(2);
        int headDim = q.size(3);
        Tensor alone = ReshapeOperation.apply(tape, q, batch, heads, count, 1, headDim);
        Tensor own = scores(tape, alone, segments(tape, half(tape, keysAndValues, 0)));
        own = ReshapeOperation.apply(tape, own, batch, heads, count, segment);
        Tensor far = null;
        if (count > 1) {
            far = scores.plus(Triangles.mask(tape, count, before + count, before));
        } else if (before > 0) {
            far = SliceOperation.apply(tape, scores, 3, 0, before);
        }
        Tensor both =
                far == null ? own : ConcatenateOperation.apply(tape, 3, plusSize(tape, far), own);
        Tensor weights = SoftmaxOperation.apply(tape, both);
        int columns = weights.size(3) - segment;
        Tensor near = SliceOperation.apply(tape, weights, 3, columns, segment);
        near = ReshapeOperation.apply(tape, near, batch, heads, count, 1, segment);
        near = MatmulOperation.apply(tape, near, segments(tape, half(tape, keysAndValues, 1)));
        return new Seen(
                far == null ? null : SliceOperation.apply(tape, weights, 3, 0, columns),
                ReshapeOperation.apply(tape, near, q.shape()));
    }

    /** Scores of landmarks as if each of their positions had them. */
    private Tensor plusSize(Tape tape, Tensor scores) {
        return FeatureOps.with(tape, ArithmeticKind.ADD, scores, logarithm());
    }

    /** What the score of a landmark gets for its number of positions. */
    float logarithm() {
        return (float) Math.log(segment);
    }

    /** Makes the constants that one more landmark takes, so that finding it allocates nothing. */
    void prepare(Tape tape) {
        tape.constant(ridge, 1);
        tape.constant(logarithm(), 1);
    }

    private static Tensor scores(Tape tape, Tensor q, Tensor k) {
        return MatmulOperation.apply(tape, q, false, k, true, (float) (1 / Math.sqrt(q.size(-1))));
    }

    private static Tensor half(Tape tape, Tensor packed, int half) {
        int channels = packed.size(2) / 2;
        return SliceOperation.apply(tape, packed, 2, half * channels, channels);
    }

    /** Means of segments, {@code (batch, count, channels)}. */
    private Tensor means(Tape tape, Tensor x) {
        int batch = x.size(0);
        Tensor split = ReshapeOperation.apply(tape, x, batch, -1, segment, x.size(2));
        Tensor means = ReduceOperation.apply(tape, Reduction.MEAN, split, 2);
        return ReshapeOperation.apply(tape, means, batch, -1, x.size(2));
    }

    /** {@code (batch, heads, count, segment, headDim)} */
    private Tensor segments(Tape tape, Tensor x) {
        Tensor split =
                ReshapeOperation.apply(tape, x, x.size(0), -1, segment, heads, x.size(2) / heads);
        return PermuteOperation.apply(tape, split, 0, 3, 1, 2, 4);
    }

    /** {@code (batch, heads, rows, headDim)} */
    private Tensor headsFirst(Tape tape, Tensor x) {
        int headDim = x.size(2) / heads;
        Tensor split = ReshapeOperation.apply(tape, x, x.size(0), x.size(1), heads, headDim);
        return PermuteOperation.apply(tape, split, 0, 2, 1, 3);
    }
}
