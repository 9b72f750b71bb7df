package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.AttentionMergeOperation;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.PartialAttention;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.SparseAttentionOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Softmax attention that is exact within a window and estimated by random features before it (Chen et al. 2021, arXiv 2110.15343).
 * With {@linkplain FavorPlus features} phi, whose products are unbiased estimates of {@code exp(q . k / sqrt(head_dim))}, and w the
 * window,
 *
 * <pre>
 * weight[t,s] = exp(q[t] . k[s] / sqrt(head_dim)) where s &gt; t - w        phi(q[t]) . phi(k[s]) where s &lt;= t - w
 * y[t] = sum_{s&lt;=t} weight[t,s] v[s] / sum_{s&lt;=t} weight[t,s]
 * </pre>
 *
 * Keys enter the features' sums when they leave the window, so that nothing is subtracted and no weight is negative.
 *
 * <p>No scale looks ahead. A query's features are divided by the largest of them, whose logarithm joins that of the weights' sum. A
 * key's are bounded by themselves, as {@link FavorPlus} says: not by the largest of the sequence, as in the original, nor by the
 * largest so far, to which all sums would have to be rescaled. Where a query's products with all keys are below 1e-30, as they
 * are of keys with {@code |k|^2} beyond {@code 100 sqrt(head_dim)}, the window alone counts.
 */
public record ScatterBrain(
        @StateName("Wqkv") Linear projection,
        @StateName("inner_attn.get_global.feature_map") FavorPlus features,
        @StateName("out_proj") Linear output,
        int heads,
        int window,
        boolean causal)
        implements Mixer {

    /**
     * @param heads divides the width
     * @param window how many positions a query sees exactly, its own included; one more if not {@code causal}
     * @param features of each head, even
     * @param bias whether the query, key and value projections have one
     * @param outputBias whether the output projection has one
     * @param causal false: as the original computes it, which {@link PublishedScatterBrain} shows; it looks ahead
     */
    public record Config(
            int heads, int window, int features, boolean bias, boolean outputBias, boolean causal)
            implements MixerConfig {
        public Config {
            Heads.requirePositive("scatterbrain", heads);
            UserException.require(
                    window >= 1, "--window %d: a position sees at least itself; try 32", window);
            UserException.require(
                    features >= 2 && features % 2 == 0,
                    "scatterbrain: features %d: they come in pairs; try 24",
                    features);
        }

        public Config(int heads, int window, int features) {
            this(heads, window, features, true, true, true);
        }

        @Override
        public void check(int width) {
            Heads.requireDivisor(heads, width);
        }

        @Override
        public boolean needsPositions() {
            return true;
        }

        @Override
        public ScatterBrain build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            return new ScatterBrain(
                    Linear.of(width, layer.hidden(3), bias, init),
                    new FavorPlus.Config(features).build(width / heads, init),
                    Linear.residual(width, width, outputBias, init),
                    heads,
                    window,
                    causal);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return output.apply(tape, attend(tape, x));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(tape, GatherRowsOperation.apply(tape, attend(tape, x), rows));
    }

    /** All but the output projection. */
    private Tensor attend(Tape tape, Tensor x) {
        Tensor packed = projection.apply(tape, x);
        if (!causal) {
            return PublishedScatterBrain.attend(tape, packed, features, heads, window);
        }
        var within =
                SparseAttentionOperation.apply(
                        tape,
                        visible(),
                        heads,
                        heads,
                        Columns.part(packed, 0, 3),
                        Columns.part(packed, 1, 3),
                        Columns.part(packed, 2, 3));
        int early = Math.min(window, x.size(1));
        int late = x.size(1) - early;
        if (late == 0) {
            return within.o();
        }
        Tensor q = rows(tape, part(tape, packed, 0, 3), early, late);
        Tensor k = rows(tape, part(tape, packed, 1, 3), 0, late);
        Tensor v = rows(tape, part(tape, packed, 2, 3), 0, late);
        return joined(tape, within, before().attend(tape, q, k, v));
    }

    /**
     * Keeps the keys and values of the window, and the features' sums over those that have left it, once there can be any.
     */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        int count = x.size(1);
        int position = state.position();
        var parts = new QueriesKeysValues(projection, heads, false);
        Tensor queries = parts.queries(tape, x, position);
        Tensor fresh = parts.keysAndValues(tape, x, position);
        Tensor seen = state.withPast(tape, "keys_and_values", window, fresh);
        var within =
                SparseAttentionOperation.extend(
                        tape,
                        visible(),
                        seen.size(1) - count,
                        heads,
                        heads,
                        Columns.of(queries),
                        Columns.part(seen, 0, 2),
                        Columns.part(seen, 1, 2));
        Tensor attended = within.o();
        if (state.capacity() > window) {
            Tensor sums = before().sums(state);
            int late = position + count - Math.max(position, window);
            if (late > 0) {
                Tensor q = rows(tape, queries, count - late, late);
                Tensor k = rows(tape, part(tape, seen, 0, 2), 0, late);
                Tensor v = rows(tape, part(tape, seen, 1, 2), 0, late);
                attended = joined(tape, within, before().extend(tape, q, k, v, sums));
            } else if (position == 0) {
                before().prepare(tape, queries);
            }
        }
        return output.apply(tape, attended);
    }

    /** The share of the keys that have left the window. */
    private FavorAttention before() {
        return new FavorAttention(features, heads);
    }

    private SparseAttentionOperation.Visible visible() {
        return SparseAttentionOperation.Visible.window(window);
    }

    /** The attention of the last queries over both shares of their keys, behind that of those that have one only. */
    private static Tensor joined(Tape tape, PartialAttention within, PartialAttention before) {
        int late = before.o().size(1);
        int early = within.o().size(1) - late;
        if (early == 0) {
            return AttentionMergeOperation.apply(tape, within, before).o();
        }
        var lateWithin =
                new PartialAttention(
                        rows(tape, within.o(), early, late),
                        SliceOperation.apply(tape, within.logSumExp(), 2, early, late));
        return ConcatenateOperation.apply(
                tape,
                1,
                rows(tape, within.o(), 0, early),
                AttentionMergeOperation.apply(tape, lateWithin, before).o());
    }

    private static Tensor part(Tape tape, Tensor packed, int part, int parts) {
        int count = packed.size(2) / parts;
        return SliceOperation.apply(tape, packed, 2, part * count, count);
    }

    private static Tensor rows(Tape tape, Tensor x, int first, int count) {
        return SliceOperation.apply(tape, x, 1, first, count);
    }

    /** Keys and values of the window; for each head the sums of phi(k) v and of phi(k), once a key can have left it. */
    @Override
    public long stateSize(int length) {
        long sums = length > window ? sums(features.size()) : 0;
        return 2L * Math.min(length, window) * output.weight().size(0) + sums;
    }

    /** Of a whole window and the sums, whatever the length. */
    @Override
    public long publishedStateSize(int length) {
        return 2L * window * output.weight().size(0) + sums(features.size());
    }

    private long sums(int size) {
        return (long) size * (output.weight().size(0) + heads);
    }
}
