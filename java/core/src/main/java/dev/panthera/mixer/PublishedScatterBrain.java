package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.atLeast;
import static dev.panthera.mixer.FeatureOps.with;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.MatmulOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.SoftmaxOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * ScatterBrain's attention as its authors' successors published it in code. With S the window (t and the {@code window} positions
 * before it), a the {@linkplain FavorPlus logarithms} of the features, and tau = 1 / sqrt(head_dim),
 *
 * <pre>
 * phi_q[t] = exp(a(q[t]) - max_i a_i(q[t])) + 1e-4 / sqrt(m)        phi_k[s] = exp(a(k[s]) - max_{r,i} a_i(k[r])) + 1e-4 / sqrt(m)
 * g[t,s] = phi_q[t] . phi_k[s] (1 - tau [s in S(t)])
 * y[t] = sum_{s in S(t)} softmax(tau q[t] . k[s]) v[s] + sum_{s&lt;=t} g[t,s] v[s] / max(sum_{s&lt;=t} g[t,s], 1e-24)
 * </pre>
 *
 * Two things are not as meant, and kept: the window's share of the features is multiplied by tau before it is taken out, so that
 * most of it stays; and both terms have a normaliser of their own, since the joint one is subtracted inside of a softmax, which
 * does not see it. The maximum of keys is over the whole sequence, so that an output knows later positions by the small constant
 * that it is added to.
 */
final class PublishedScatterBrain {
    private static final double FLOOR = 1e-4;
    private static final double LEAST_SUM = 1e-24;
    private static final float MASKED = -10_000;

    private PublishedScatterBrain() {}

    /** Factors or terms of scores: of positions in the window, of earlier ones, of later ones. */
    private record Mask(int length, int window, float inside, float before, float after) {
        Tensor on(Tape tape) {
            return tape.constant(this, this::values, length, length);
        }

        private float[] values() {
            float[] values = new float[length * length];
            for (int t = 0; t < length; t++) {
                for (int s = 0; s < length; s++) {
                    values[t * length + s] = s > t ? after : s < t - window ? before : inside;
                }
            }
            return values;
        }
    }

    /**
     * @param packed {@code (batch, length, 3 * channels)}: queries, keys and values
     * @return {@code (batch, length, channels)}
     */
    static Tensor attend(Tape tape, Tensor packed, FavorPlus features, int heads, int window) {
        int length = packed.size(1);
        int channels = packed.size(2) / 3;
        Tensor q = headsFirst(tape, packed, 0, heads);
        Tensor k = headsFirst(tape, packed, 1, heads);
        Tensor v = headsFirst(tape, packed, 2, heads);
        float scale = (float) (1 / Math.sqrt(q.size(3)));

        Tensor scores = MatmulOperation.apply(tape, q, false, k, true, scale);
        Tensor hidden = new Mask(length, window, 0, MASKED, MASKED).on(tape);
        Tensor local = SoftmaxOperation.apply(tape, scores.plus(hidden));

        Tensor products =
                MatmulOperation.apply(
                        tape,
                        shifted(tape, features, features.logarithms(tape, q), 3),
                        false,
                        shifted(tape, features, features.logarithms(tape, k), 2, 3),
                        true,
                        1);
        Tensor weights = products.times(new Mask(length, window, 1 - scale, 1, 0).on(tape));
        Tensor sums = ReduceOperation.apply(tape, Reduction.SUM, weights, 3);
        Tensor global = weights.dividedBy(atLeast(tape, sums, LEAST_SUM));
        Tensor y = MatmulOperation.apply(tape, local.plus(global), v);
        return ReshapeOperation.apply(
                tape, PermuteOperation.apply(tape, y, 0, 2, 1, 3), -1, length, channels);
    }

    /** Part 0, 1 or 2 of queries, keys and values, as {@code (batch, heads, length, head_dim)}. */
    private static Tensor headsFirst(Tape tape, Tensor packed, int part, int heads) {
        int channels = packed.size(2) / 3;
        Tensor flat = SliceOperation.apply(tape, packed, 2, part * channels, channels);
        Tensor split = ReshapeOperation.apply(tape, flat, flat.size(0), flat.size(1), heads, -1);
        return PermuteOperation.apply(tape, split, 0, 2, 1, 3);
    }

    /** Features divided by the largest along some dimensions, plus a small constant. */
    private static Tensor shifted(
            Tape tape, FavorPlus features, Tensor logarithms, int... dimensions) {
        Tensor largest = logarithms;
        for (int dimension : dimensions) {
            largest = ReduceOperation.apply(tape, Reduction.MAX, largest, dimension);
        }
        Tensor divided = activate(tape, Activation.EXP, logarithms.minus(largest));
        return with(tape, ArithmeticKind.ADD, divided, FLOOR / Math.sqrt(features.size()));
    }
}
