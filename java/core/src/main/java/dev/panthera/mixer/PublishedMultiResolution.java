package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.with;

import dev.panthera.UserException;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.ArithmeticOperation;
import dev.panthera.tensor.BroadcastOperation;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.MatmulOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SoftmaxOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.TopKMaskOperation;

/**
 * Multi-resolution attention as it was published (Zeng et al. 2022, arXiv 2207.10284, section 4), which looks ahead. The
 * sequence is cut into whole blocks; with the means q', k', v' of a block,
 *
 * <pre>
 * score[i,j] = scale q'[i] . k'[j] - max_n scale q'[i] . k'[n]
 * o[t] = (sum_{s: (i,j) chosen} exp(x[t,s]) v[s] + block_size sum_{j: (i,j) not chosen} exp(scale q'[i] . k'[j]) v'[j])
 *        / (the same sum without values + 1e-6 exp(m[t]))        x[t,s] = scale q[t] . k[s], t in block i, s in block j
 * </pre>
 *
 * over the pairs of blocks with the highest scores of the whole grid, m[t] being the largest exponent of t. Forms arrays of
 * length x length.
 *
 * @param heads side by side in the channels
 * @param blockSize positions of a block
 * @param pairs how many pairs of blocks are chosen
 * @param sparse without the second sum
 * @param firstBlocks pairs in the first rows and columns of the grid are chosen before others
 * @param diagonalBlocks and those at most half as far from the diagonal, if this is not 0; pairs to which several of these apply come
 *     first of all
 */
record PublishedMultiResolution(
        int heads, int blockSize, int pairs, boolean sparse, int firstBlocks, int diagonalBlocks) {
    private static final double EPSILON = 1e-6;

    /** Far below all scores, so that nothing is left of an exponential. */
    private static final double HIDDEN = -1e9;

    /** Above all differences of scores. */
    private static final double LARGE = 1e6;

    /** Below all of them that are not 0. */
    private static final double SMALLEST = 1e-30;

    /** The smallest m[t] of the original, which a query without a chosen pair has. */
    private static final double LEAST = -1e5;

    /** @return what q, k and v are, {@code (batch, length, channels)} */
    Tensor attend(Tape tape, Tensor q, Tensor k, Tensor v) {
        int length = q.size(1);
        UserException.require(
                length % blockSize == 0,
                "mra: as published it cuts sequences into whole blocks of %d, and %d positions are none; try a length of %d, or "
                        + "causal: true",
                blockSize,
                length,
                (length / blockSize + 1) * blockSize);
        Tensor queries = byHead(tape, q);
        Tensor keys = byHead(tape, k);
        Tensor values = byHead(tape, v);
        float scale = (float) (1 / Math.sqrt(queries.size(2)));
        Tensor coarse =
                MatmulOperation.apply(
                        tape, means(tape, queries), false, means(tape, keys), true, scale);
        Tensor rowMax = ReduceOperation.apply(tape, Reduction.MAX, coarse, 2);
        Tensor scores = preferred(tape, coarse.minus(rowMax).detached());
        Tensor chosen = chosen(tape, scores);
        Tensor fine =
                hideOthers(
                        tape,
                        MatmulOperation.apply(tape, queries, false, keys, true, scale),
                        chosen);
        Tensor fineMax = ReduceOperation.apply(tape, Reduction.MAX, fine, 2);
        Tensor weights;
        if (sparse) {
            Tensor extra = extra(tape, FeatureOps.atLeast(tape, fineMax, LEAST));
            weights = ConcatenateOperation.apply(tape, 2, fine, extra);
            values = ConcatenateOperation.apply(tape, 1, values, zeros(tape, values));
        } else {
            Tensor extra = extra(tape, fineMax.maximum(forEachQuery(tape, rowMax)));
            weights =
                    ConcatenateOperation.apply(
                            tape,
                            2,
                            fine,
                            counted(tape, coarse, atLeastAsGood(tape, scores, chosen)),
                            extra);
            values =
                    ConcatenateOperation.apply(
                            tape, 1, values, means(tape, values), zeros(tape, values));
        }
        Tensor o = MatmulOperation.apply(tape, SoftmaxOperation.apply(tape, weights), values);
        Tensor split = ReshapeOperation.apply(tape, o, q.size(0), heads, length, -1);
        return ReshapeOperation.apply(
                tape, PermuteOperation.apply(tape, split, 0, 2, 1, 3), q.shape());
    }

    /** {@code (batch * heads, length, head_dim)} */
    private Tensor byHead(Tape tape, Tensor x) {
        Tensor split = ReshapeOperation.apply(tape, x, x.size(0), x.size(1), heads, -1);
        return ReshapeOperation.apply(
                tape,
                PermuteOperation.apply(tape, split, 0, 2, 1, 3),
                x.size(0) * heads,
                x.size(1),
                -1);
    }

    /** {@code (batch * heads, blocks, head_dim)} */
    private Tensor means(Tape tape, Tensor x) {
        int blocks = x.size(1) / blockSize;
        Tensor split = ReshapeOperation.apply(tape, x, x.size(0), blocks, blockSize, x.size(2));
        return ReshapeOperation.apply(
                tape,
                ReduceOperation.apply(tape, Reduction.MEAN, split, 2),
                x.size(0),
                blocks,
                x.size(2));
    }

    /** Scores that decide, {@code (batch * heads, blocks, blocks)}: those of preferred pairs are above all others. */
    private Tensor preferred(Tape tape, Tensor scores) {
        if (firstBlocks == 0 && diagonalBlocks == 0) {
            return scores;
        }
        int blocks = scores.size(1);
        var preference = new Preference(blocks, pairs, firstBlocks, diagonalBlocks);
        Tensor added = tape.constant(preference, preference::values, blocks, blocks);
        return ArithmeticOperation.apply(tape, ArithmeticKind.ADD, scores, added);
    }

    /** 1 for the pairs with the highest scores, of equal ones the first; 0 for the others. */
    private Tensor chosen(Tape tape, Tensor scores) {
        Tensor flat = ReshapeOperation.apply(tape, scores, scores.size(0), -1);
        return ReshapeOperation.apply(
                tape, TopKMaskOperation.apply(tape, flat, pairs), scores.shape());
    }

    /**
     * 1 for the chosen pairs and all with scores as high as theirs, which the original leaves out of the second sum; the rows'
     * maxima have equal ones. By sums and products, since scores that differ do by more than {@value #SMALLEST}.
     */
    private static Tensor atLeastAsGood(Tape tape, Tensor scores, Tensor chosen) {
        Tensor flat = ReshapeOperation.apply(tape, scores.detached(), scores.size(0), -1);
        Tensor flags = ReshapeOperation.apply(tape, chosen, scores.size(0), -1);
        Tensor others =
                FeatureOps.scale(tape, with(tape, ArithmeticKind.SUBTRACT, flags, 1), -LARGE);
        Tensor least = // the smallest chosen one, its sign turned
                ReduceOperation.apply(
                        tape,
                        Reduction.MAX,
                        FeatureOps.negate(tape, flat.times(flags).plus(others)),
                        1);
        Tensor below = FeatureOps.atLeast(tape, FeatureOps.negate(tape, least.plus(flat)), 0);
        Tensor equal =
                FeatureOps.negate(
                        tape,
                        with(
                                tape,
                                ArithmeticKind.SUBTRACT,
                                FeatureOps.scale(tape, below, 1 / SMALLEST),
                                1));
        return ReshapeOperation.apply(tape, FeatureOps.atLeast(tape, equal, 0), scores.shape())
                .detached();
    }

    /**
     * What is added to scores so that preferred pairs come first. Scores decide among the pairs of one degree of preference, the
     * lowest of which any is chosen; they keep all their digits, which an addition to all would take from them.
     */
    private record Preference(int blocks, int pairs, int first, int diagonal) {
        private static final int DEGREES = 4;
        private static final float CERTAIN = (float) LARGE;

        private int degree(int row, int column) {
            int degree = diagonal > 0 && Math.abs(row - column) <= diagonal / 2 ? 1 : 0;
            return degree + (row < first ? 1 : 0) + (column < first ? 1 : 0);
        }

        float[] values() {
            int[] counts = new int[DEGREES];
            for (int i = 0; i < blocks * blocks; i++) {
                counts[degree(i / blocks, i % blocks)]++;
            }
            int deciding = DEGREES - 1;
            int certain = 0;
            while (deciding > 0 && certain + counts[deciding] < pairs) {
                certain += counts[deciding];
                deciding--;
            }
            float[] values = new float[blocks * blocks];
            for (int i = 0; i < values.length; i++) {
                values[i] = CERTAIN * Integer.signum(degree(i / blocks, i % blocks) - deciding);
            }
            return values;
        }
    }

    /** The exponents of keys, {@code (batch * heads, length, length)}, those in pairs that are not chosen far below all others. */
    private Tensor hideOthers(Tape tape, Tensor exponents, Tensor chosen) {
        int blocks = chosen.size(1);
        Tensor byPair =
                ReshapeOperation.apply(
                        tape, exponents, chosen.size(0), blocks, blockSize, blocks, blockSize);
        Tensor others =
                FeatureOps.scale(tape, with(tape, ArithmeticKind.SUBTRACT, chosen, 1), -HIDDEN);
        Tensor rest = ReshapeOperation.apply(tape, others, chosen.size(0), blocks, 1, blocks, 1);
        return ReshapeOperation.apply(tape, byPair.plus(rest), exponents.shape());
    }

    /** The exponents of blocks for each query, {@code (batch * heads, length, blocks)}, with those of some pairs hidden. */
    private Tensor counted(Tape tape, Tensor coarse, Tensor hidden) {
        Tensor ofPositions = with(tape, ArithmeticKind.ADD, coarse, Math.log(blockSize));
        return forEachQuery(tape, ofPositions.plus(FeatureOps.scale(tape, hidden, HIDDEN)));
    }

    /** Rows of blocks repeated for their positions. */
    private Tensor forEachQuery(Tape tape, Tensor x) {
        int rows = x.size(1);
        int columns = x.size(2);
        Tensor single = ReshapeOperation.apply(tape, x, x.size(0), rows, 1, columns);
        return ReshapeOperation.apply(
                tape,
                BroadcastOperation.apply(tape, single, x.size(0), rows, blockSize, columns),
                x.size(0),
                rows * blockSize,
                columns);
    }

    /** The exponent of what is added to a query's sum of weights, as of a key whose value is 0; no gradient passes to m. */
    private static Tensor extra(Tape tape, Tensor largest) {
        return with(tape, ArithmeticKind.ADD, largest.detached(), Math.log(EPSILON));
    }

    private static Tensor zeros(Tape tape, Tensor values) {
        return BroadcastOperation.apply(
                tape, tape.constant(0, 1), values.size(0), 1, values.size(2));
    }
}
