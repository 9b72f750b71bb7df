package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.AttentionOperation;
import dev.panthera.tensor.AttentionRowsOperation;
import dev.panthera.tensor.CausalTopKOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SelectedAttentionOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.TopKMaskOperation;
import org.jspecify.annotations.Nullable;

/**
 * Causal softmax attention of chosen positions alone (Arora et al. 2023, arXiv 2312.04927, section 5):
 *
 * <pre>
 * y[t] = f[t] (W_o a[t] + b)    if t is chosen, else 0;    (+ x[t] with a skip)
 * a[t] = softmax over s &lt;= t of (q[t] . k[s] / sqrt(head_dim)), applied to v[s], for each head
 * </pre>
 *
 * A position is chosen if its score is among the k largest of all up to its own, of equal ones the first: so what comes later
 * changes nothing, and of n positions in any order of their scores about {@code k (1 + log(n / k))} are chosen, which cost that many
 * times n and not n^2. Trained scores are compared by their multiples of 2^-10: positions with the same inputs have the same score, and
 * what rounding makes of it depends on how many are computed at once. The paper chooses once the sequence has ended; that is the
 * form that is not causal, whose scores are compared as they are.
 *
 * @param k places for each prefix; 0: the square root of its length, rounded up
 * @param skip whether the input is added to the output
 * @param causal false: chosen is what is among the k largest of the whole sequence, so that the mixer looks ahead
 */
public record SelectedAttention(
        @StateName("Wqkv") Linear projection,
        @StateName("out_proj") Linear output,
        @StateName("") Selection selection,
        int heads,
        int k,
        boolean rotary,
        boolean skip,
        boolean causal,
        float dropout,
        long dropoutKey)
        implements Mixer {
    private static final int DROPOUT_SITE = 8;

    /**
     * @param heads divides the width
     * @param selection what decides which positions attend
     * @param k how many positions of a prefix may be chosen; 0: the square root of its length, rounded up; without effect on a
     *     selection that has no limit, which are {@link FullSelection} and unlimited {@link ProgrammaticSelection}
     * @param dropout probability of dropping a weight when training
     * @param bias whether the query, key and value projections have one; the output projection always does
     * @param rotary as of {@link Attention.Config}
     */
    public record Config(
            int heads,
            SelectionConfig selection,
            int k,
            double dropout,
            boolean bias,
            boolean rotary)
            implements MixerConfig {
        private static final double DROPOUT = 0.1;

        public Config {
            requirePlaces(k);
        }

        /** Without positions of its own. */
        public Config(int heads, SelectionConfig selection, int k) {
            this(heads, selection, k, DROPOUT, true, false);
        }

        @Override
        public void check(int width) {
            attention().check(width);
        }

        @Override
        public boolean needsTokens() {
            return selection.needsTokens();
        }

        @Override
        public boolean needsPositions() {
            return attention().needsPositions();
        }

        @Override
        public SelectedAttention build(Layer layer, Init init) {
            check(layer.width());
            return of(layer, init, attention(), selection.build(layer, init), k, false, true);
        }

        private Attention.Config attention() {
            return new Attention.Config(heads, dropout, bias, rotary);
        }
    }

    static void requirePlaces(int k) {
        UserException.require(
                k >= 0,
                "selection: k %d: a number of positions is needed, or 0 for the square root of the length; try 0",
                k);
    }

    static SelectedAttention of(
            Layer layer,
            Init init,
            Attention.Config attention,
            Selection selection,
            int k,
            boolean skip,
            boolean causal) {
        int width = layer.width();
        return new SelectedAttention(
                Linear.of(width, layer.hidden(3), attention.bias(), init),
                Linear.residual(width, width, init),
                selection,
                attention.heads(),
                k,
                attention.rotary(),
                skip,
                causal,
                (float) attention.dropout(),
                layer.dropoutKey(DROPOUT_SITE));
    }

    @Override
    public SelectedAttention withTokens(Tensor ids) {
        return new SelectedAttention(
                projection,
                output,
                selection.withTokens(ids),
                heads,
                k,
                rotary,
                skip,
                causal,
                dropout,
                dropoutKey);
    }

    private QueriesKeysValues queriesKeysValues() {
        return new QueriesKeysValues(projection, heads, rotary);
    }

    /**
     * What was selected.
     *
     * @param chosen {@code (batch, length, 1)}, 1 or 0; null: all
     * @param gate {@code (batch, length, 1)}, 0 where nothing was chosen; null: 1
     */
    private record Selected(@Nullable Tensor chosen, @Nullable Tensor gate) {}

    private Selected select(Tape tape, @Nullable Tensor scores) {
        if (scores == null) {
            return new Selected(null, null);
        }
        Tensor gate = selection.gate(tape, scores);
        if (gate != null && selection.penalty() > 0 && tape.training()) {
            penalise(tape, gate);
        }
        if (tape.training() && !selection.choosesInTraining()) {
            return new Selected(null, gate);
        }
        Tensor chosen = choose(tape, scores);
        return new Selected(chosen, gate == null ? chosen : gate.times(chosen));
    }

    private Tensor choose(Tape tape, Tensor scores) {
        int length = scores.size(1);
        if (causal) {
            return CausalTopKOperation.apply(
                    tape, selection.ranks(tape, scores), selection.competes() ? k : length);
        }
        int places = k == 0 ? (int) Math.ceil(Math.sqrt(length)) : k;
        Tensor rows = ReshapeOperation.apply(tape, scores, scores.size(0), length);
        return ReshapeOperation.apply(
                tape, TopKMaskOperation.apply(tape, rows, places), scores.shape());
    }

    /** The share of places of k = 0 is not rounded, as in the original. */
    private void penalise(Tape tape, Tensor gate) {
        int length = gate.size(1);
        double share = (k == 0 ? Math.sqrt(length) : k) / length;
        Tensor mean = ReduceOperation.applyToAll(tape, Reduction.MEAN, gate);
        Tensor excess = FeatureOps.with(tape, ArithmeticKind.SUBTRACT, mean, share);
        tape.addAuxiliaryLoss(
                FeatureOps.scale(
                        tape,
                        FeatureOps.activate(tape, Activation.RELU, excess),
                        selection.penalty()));
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Selected selected = select(tape, selection.scores(tape, x));
        Tensor packed = queriesKeysValues().packed(tape, x);
        Tensor attended =
                selected.chosen() == null
                        ? AttentionOperation.apply(tape, packed, heads, 0, dropout, dropoutKey)
                        : SelectedAttentionOperation.apply(
                                tape, packed, selected.chosen(), heads, 0, dropout, dropoutKey);
        return outputs(tape, attended, selected.gate(), x);
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        Tensor gate = select(tape, selection.scores(tape, x)).gate();
        Tensor attended = queriesKeysValues().attendRows(tape, x, rows, 0, dropout, dropoutKey);
        return outputs(
                tape,
                attended,
                gate == null ? null : GatherRowsOperation.apply(tape, gate, rows),
                skip ? GatherRowsOperation.apply(tape, x, rows) : x);
    }

    /** What becomes of attention's outputs at some positions, of their gates and inputs. */
    private Tensor outputs(Tape tape, Tensor attended, @Nullable Tensor gate, Tensor x) {
        Tensor projected = output.apply(tape, attended);
        Tensor gated = gate == null ? projected : projected.times(gate);
        return skip ? gated.plus(x) : gated;
    }

    /** A position that is not chosen keeps its key and value for others, and its score as a rival. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        int position = state.position();
        Tensor gate = extendGate(tape, x, state);
        Tensor queries = queriesKeysValues().queries(tape, x, position);
        Tensor cache =
                state.history(
                        "keys_and_values", queriesKeysValues().keysAndValues(tape, x, position));
        Tensor rows = state.rows(tape, state.capacity(), position, x.size(1));
        Tensor attended =
                AttentionRowsOperation.apply(tape, queries, cache, rows, heads, 0, 0, dropoutKey);
        return outputs(tape, ReshapeOperation.apply(tape, attended, x.shape()), gate, x);
    }

    private @Nullable Tensor extendGate(Tape tape, Tensor x, DecodeState state) {
        Tensor fresh = selection.extendScores(tape, x, state);
        if (fresh == null || !selection.competes()) {
            return select(tape, fresh).gate();
        }
        int seen = state.position() + x.size(1);
        Tensor scores = Rows.of(tape, state.history("scores", fresh), 0, seen);
        return Rows.last(tape, select(tape, scores).gate(), x.size(1));
    }

    /** Keys and values of every token, and what the selection goes by. */
    @Override
    public long stateSize(int length) {
        long keysAndValues = 2L * length * output.weight().size(0);
        return keysAndValues + (selection.competes() ? length : 0) + selection.stateSize(length);
    }
}
