package dev.panthera.mixer;

import static dev.panthera.mixer.FeatureOps.activate;
import static dev.panthera.mixer.FeatureOps.with;

import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.FeatureKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.LinearAttentionOperation;
import dev.panthera.tensor.PartialAttention;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Causal linear attention with {@linkplain FavorPlus random features} as an estimate of softmax attention, with the logarithm of its
 * weights' sum, so that it can be joined with attention over other keys:
 *
 * <pre>
 * total[t] = sum_{s&lt;=t} phi(q[t]) . phi(k[s])        log_sum_exp[t] = log(total[t])
 * o[t] = sum_{s&lt;=t} (phi(q[t]) . phi(k[s])) v[s] / total[t]
 * </pre>
 *
 * Queries, keys and values are {@code (batch, count, heads * head_dim)}.
 */
record FavorAttention(FavorPlus features, int heads) {

    /** Added to totals, from which the largest feature of the query has been divided out, so that their logarithms are finite. */
    private static final float EPSILON = 1e-30f;

    /**
     * The features of queries.
     *
     * @param values {@code (batch, count, heads * features)}, divided by the largest of each query
     * @param scale {@code (batch, heads, count)}, the logarithm of that
     */
    private record Queries(Tensor values, Tensor scale) {}

    /** A last channel of values, 1 everywhere, makes the total an output, through which gradients pass. */
    PartialAttention attend(Tape tape, Tensor q, Tensor k, Tensor v) {
        Tensor values = byHead(tape, v);
        int[] single = values.shape();
        int headDim = single[3];
        single[3] = 1;
        Tensor ones = tape.constant(1, single[0] * single[1] * heads);
        Tensor extended =
                ConcatenateOperation.apply(
                        tape, 3, values, ReshapeOperation.apply(tape, ones, single));
        var queries = queries(tape, q);
        var weights = new LinearAttentionOperation.Weights(FeatureKind.GIVEN, false, 0);
        Tensor sums =
                LinearAttentionOperation.apply(
                        tape, weights, heads, queries.values, keys(tape, k), flat(tape, extended));
        Tensor split = byHead(tape, sums);
        Tensor numerator = SliceOperation.apply(tape, split, 3, 0, headDim);
        Tensor total =
                with(
                        tape,
                        ArithmeticKind.ADD,
                        SliceOperation.apply(tape, split, 3, headDim, 1),
                        EPSILON);
        return new PartialAttention(
                flat(tape, numerator.dividedBy(total)),
                logarithm(tape, queries, statistics(tape, total)));
    }

    /** The sums over the keys so far that a state has. */
    Tensor sums(DecodeState state) {
        int headDim = features.directions().size(1);
        return state.tensor("sums", state.batch(), heads, features.size(), headDim + 1);
    }

    /** Has the tape make the constants that {@link #extend} needs, so that its first call allocates nothing. */
    void prepare(Tape tape, Tensor any) {
        keys(tape, any);
    }

    /** As {@link #attend} after the keys that {@code sums} holds, to which it adds. */
    PartialAttention extend(Tape tape, Tensor q, Tensor k, Tensor v, Tensor sums) {
        var queries = queries(tape, q);
        var weights = new LinearAttentionOperation.Weights(FeatureKind.GIVEN, true, EPSILON);
        var operation =
                LinearAttentionOperation.extendWithTotals(
                        tape, weights, heads, queries.values, keys(tape, k), v, sums);
        return new PartialAttention(operation.y(), logarithm(tape, queries, operation.total()));
    }

    private Queries queries(Tape tape, Tensor q) {
        Tensor logarithms = features.logarithms(tape, byHead(tape, q));
        Tensor largest = ReduceOperation.apply(tape, Reduction.MAX, logarithms, 3);
        return new Queries(
                flat(tape, activate(tape, Activation.EXP, logarithms.minus(largest))),
                statistics(tape, largest));
    }

    private Tensor keys(Tape tape, Tensor k) {
        return flat(tape, FavorPlus.exponential(tape, features.logarithms(tape, byHead(tape, k))));
    }

    private static Tensor logarithm(Tape tape, Queries queries, Tensor total) {
        return activate(tape, Activation.LOG, total).plus(queries.scale);
    }

    /** As {@code (batch, count, heads, channels)}. */
    private Tensor byHead(Tape tape, Tensor x) {
        return ReshapeOperation.apply(tape, x, x.size(0), x.size(1), heads, -1);
    }

    private static Tensor flat(Tape tape, Tensor x) {
        return ReshapeOperation.apply(tape, x, x.size(0), x.size(1), -1);
    }

    /** {@code (batch, count, heads, 1)} as {@code (batch, heads, count)}. */
    private static Tensor statistics(Tape tape, Tensor x) {
        return PermuteOperation.apply(tape, flat(tape, x), 0, 2, 1);
    }
}
