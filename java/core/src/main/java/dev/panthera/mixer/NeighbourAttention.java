package dev.panthera.mixer;

import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.MatmulOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SoftmaxOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Softmax attention to the nearest positions on both sides: query t sees the keys s with {@code |t - s| <= reach}. So a query sees
 * the future, as in the published form of {@link NativeSparseAttention}.
 *
 * <p>That form divides a sequence into windows of {@code reach} positions and fills the last one up with zeros; queries near the end
 * see these as keys, of score 0 and value 0. Costs {@code length^2}.
 *
 * @param heads of queries
 * @param keyHeads divides {@code heads}; query head h has the keys and values of head {@code h / (heads / keyHeads)}
 * @param reach positions that a query sees on each side
 */
record NeighbourAttention(int heads, int keyHeads, int reach) {
    /** Added to the score of a key out of reach: no weight is left. */
    private static final float HIDDEN = -1e30f;

    /**
     * @param queries {@code (batch, length, heads * headDim)}; keys and values likewise
     * @return of the shape of the queries
     */
    Tensor apply(Tape tape, Tensor queries, Tensor keys, Tensor values) {
        int batch = queries.size(0);
        int length = queries.size(1);
        int headDim = queries.size(2) / heads;
        int padded = reach == 0 ? length : Math.ceilDiv(length, reach) * reach;
        Tensor q = headsFirst(tape, split(tape, queries, heads));
        Tensor k = headsFirst(tape, split(tape, extended(tape, keys, padded), keyHeads));
        Tensor v = headsFirst(tape, split(tape, extended(tape, values, padded), keyHeads));
        Tensor groups = ReshapeOperation.apply(tape, q, batch, keyHeads, -1, headDim);
        float scale = (float) (1 / Math.sqrt(headDim));
        Tensor products = MatmulOperation.apply(tape, groups, false, k, true, scale);
        var band = new Band(length, padded, reach);
        Tensor scores =
                ReshapeOperation.apply(tape, products, batch, heads, length, padded)
                        .plus(tape.constant(band, band::mask, length, padded));
        Tensor weights =
                ReshapeOperation.apply(
                        tape, SoftmaxOperation.apply(tape, scores), batch, keyHeads, -1, padded);
        Tensor attended =
                ReshapeOperation.apply(
                        tape,
                        MatmulOperation.apply(tape, weights, v),
                        batch,
                        heads,
                        length,
                        headDim);
        return ReshapeOperation.apply(tape, headsFirst(tape, attended), batch, length, -1);
    }

    /** Which keys are out of the reach of which queries. */
    private record Band(int queries, int keys, int reach) {
        float[] mask() {
            float[] mask = new float[Math.multiplyExact(queries, keys)];
            for (int i = 0; i < mask.length; i++) {
                mask[i] = Math.abs(i / keys - i % keys) <= reach ? 0 : HIDDEN;
            }
            return mask;
        }
    }

    /** With zeros behind its rows. */
    private static Tensor extended(Tape tape, Tensor x, int rows) {
        int missing = rows - x.size(1);
        if (missing == 0) {
            return x;
        }
        Tensor zeros = tape.constant(0, Math.multiplyExact(x.size(0) * missing, x.size(2)));
        return ConcatenateOperation.apply(
                tape, 1, x, ReshapeOperation.apply(tape, zeros, x.size(0), missing, x.size(2)));
    }

    private static Tensor split(Tape tape, Tensor x, int heads) {
        return ReshapeOperation.apply(tape, x, x.size(0), x.size(1), heads, -1);
    }

    /** {@code (batch, length, heads, channels)} as {@code (batch, heads, length, channels)}, and back. */
    private static Tensor headsFirst(Tape tape, Tensor x) {
        return PermuteOperation.apply(tape, x, 0, 2, 1, 3);
    }
}
