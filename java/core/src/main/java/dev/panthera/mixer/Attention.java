package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.AttentionOperation;
import dev.panthera.tensor.AttentionRowsOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** Causal multi-head softmax attention (Vaswani et al. 2017, arXiv 1706.03762), with dropout on the weights. */
public record Attention(
        @StateName("Wqkv") Linear projection,
        @StateName("out_proj") Linear output,
        int heads,
        boolean rotary,
        float dropout,
        long dropoutKey)
        implements Mixer {
    private static final int DROPOUT_SITE = 8;

    /**
     * @param heads divides the width
     * @param dropout probability of dropping a weight when training
     * @param bias whether the query, key and value projections have one; the output projection always does
     * @param rotary whether queries and keys are turned by their positions (Su et al. 2021, arXiv 2104.09864), pairs (i, i + half) of
     *     a head by {@code position * 10000^(-2 i / head_dim)}; a model then needs no learned positions
     */
    public record Config(int heads, double dropout, boolean bias, boolean rotary)
            implements MixerConfig {
        public Config {
            Heads.requirePositive("attention", heads);
            UserException.require(
                    dropout >= 0 && dropout < 1,
                    "attention dropout %s: a probability in [0, 1) is needed; try 0.1",
                    dropout);
        }

        /** Without positions of its own. */
        public Config(int heads, double dropout, boolean bias) {
            this(heads, dropout, bias, false);
        }

        public Config(int heads) {
            this(heads, 0.1, true);
        }

        @Override
        public void check(int width) {
            Heads.requireDivisor(heads, width);
            UserException.require(
                    !rotary || width / heads % 2 == 0,
                    "--rotary: it turns pairs of channels, and each of %d heads has %d; try another --d-model or --heads",
                    heads,
                    width / heads);
        }

        @Override
        public boolean needsPositions() {
            return !rotary;
        }

        @Override
        public Attention build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            return new Attention(
                    Linear.of(width, layer.hidden(3), bias, init),
                    Linear.residual(width, width, init),
                    heads,
                    rotary,
                    (float) dropout,
                    layer.dropoutKey(DROPOUT_SITE));
        }
    }

    private QueriesKeysValues queriesKeysValues() {
        return new QueriesKeysValues(projection, heads, rotary);
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor packed = queriesKeysValues().packed(tape, x);
        return output.apply(
                tape, AttentionOperation.apply(tape, packed, heads, 0, dropout, dropoutKey));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(
                tape, queriesKeysValues().attendRows(tape, x, rows, 0, dropout, dropoutKey));
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int position = state.position();
        Tensor queries = queriesKeysValues().queries(tape, x, position);
        Tensor cache =
                state.history(
                        "keys_and_values", queriesKeysValues().keysAndValues(tape, x, position));
        Tensor rows = state.rows(tape, state.capacity(), position, x.size(1));
        Tensor attended =
                AttentionRowsOperation.apply(tape, queries, cache, rows, heads, 0, 0, dropoutKey);
        return output.apply(tape, ReshapeOperation.apply(tape, attended, x.shape()));
    }

    /** Keys and values of every token. */
    @Override
    public long stateSize(int length) {
        return 2L * length * output.weight().size(0);
    }
}
