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
        float dropout,
        long dropoutKey)
        implements Mixer {
    private static final int DROPOUT_SITE = 8;

    /**
     * @param heads divides the width
     * @param dropout probability of dropping a weight when training
     * @param bias whether the query, key and value projections have one; the output projection always does
     */
    public record Config(int heads, double dropout, boolean bias) implements MixerConfig {
        public Config {
            UserException.require(
                    heads >= 1, "--heads %d: attention needs at least one head; try 1", heads);
            UserException.require(
                    dropout >= 0 && dropout < 1,
                    "attention dropout %s: a probability in [0, 1) is needed; try 0.1",
                    dropout);
        }

        public Config(int heads) {
            this(heads, 0.1, true);
        }

        @Override
        public void check(int width) {
            UserException.require(
                    width % heads == 0,
                    "--heads %d: heads must divide the width --d-model %d; try %d",
                    heads,
                    width,
                    largestDivisor(width, heads));
        }

        @Override
        public boolean needsPositions() {
            return true;
        }

        private static int largestDivisor(int width, int atMost) {
            int divisor = Math.min(width, atMost);
            while (width % divisor != 0) {
                divisor--;
            }
            return divisor;
        }

        @Override
        public Attention build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            return new Attention(
                    Linear.of(width, layer.hidden(3), bias, init),
                    Linear.residual(width, width, init),
                    heads,
                    (float) dropout,
                    layer.dropoutKey(DROPOUT_SITE));
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor packed = projection.apply(tape, x);
        return output.apply(
                tape, AttentionOperation.apply(tape, packed, heads, 0, dropout, dropoutKey));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(
                tape,
                NeededQueries.attend(tape, projection, x, rows, heads, 0, dropout, dropoutKey));
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int position = state.position();
        Tensor queries = NeededQueries.queries(tape, projection, x);
        Tensor cache =
                state.history(
                        "keys_and_values", NeededQueries.keysAndValues(tape, projection, x));
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
