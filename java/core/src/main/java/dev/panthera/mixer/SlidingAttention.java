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

/** Causal softmax attention in which a position sees the last {@code keys} positions, its own included. */
public record SlidingAttention(
        @StateName("Wqkv") Linear projection,
        @StateName("out_proj") Linear output,
        int heads,
        int window,
        int keys,
        boolean rotary,
        float dropout,
        long dropoutKey)
        implements Mixer {
    private static final int DROPOUT_SITE = 8;

    /**
     * @param heads divides the width
     * @param window how many positions a query sees, its own included
     * @param asPublished lets a query see one position more, as the original's code does
     * @param dropout probability of dropping a weight when training
     * @param bias whether the query, key and value projections have one; the output projection always does
     * @param rotary as of {@link Attention.Config}
     */
    public record Config(
            int heads,
            int window,
            boolean asPublished,
            double dropout,
            boolean bias,
            boolean rotary)
            implements MixerConfig {
        public Config {
            UserException.require(
                    window >= 1, "--window %d: a position sees at least itself; try 32", window);
        }

        /** Without positions of its own. */
        public Config(int heads, int window, boolean asPublished, double dropout, boolean bias) {
            this(heads, window, asPublished, dropout, bias, false);
        }

        @Override
        public void check(int width) {
            attention().check(width);
        }

        @Override
        public boolean needsPositions() {
            return !rotary;
        }

        @Override
        public SlidingAttention build(Layer layer, Init init) {
            check(layer.width());
            int width = layer.width();
            return new SlidingAttention(
                    Linear.of(width, layer.hidden(3), bias, init),
                    Linear.residual(width, width, init),
                    heads,
                    window,
                    asPublished ? Math.addExact(window, 1) : window,
                    rotary,
                    (float) dropout,
                    layer.dropoutKey(DROPOUT_SITE));
        }

        private Attention.Config attention() {
            return new Attention.Config(heads, dropout, bias, rotary);
        }
    }

    private QueriesKeysValues queriesKeysValues() {
        return new QueriesKeysValues(projection, heads, rotary);
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor packed = queriesKeysValues().packed(tape, x);
        return output.apply(
                tape, AttentionOperation.apply(tape, packed, heads, keys, dropout, dropoutKey));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(
                tape, queriesKeysValues().attendRows(tape, x, rows, keys, dropout, dropoutKey));
    }

    /** Keeps a ring: token t lies in row t modulo {@link #keys}. The order of keys makes no difference to a sum over them. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int count = x.size(1);
        int before = Math.min(state.position(), keys);
        Tensor queries = queriesKeysValues().queries(tape, x, state.position());
        Tensor fresh = queriesKeysValues().keysAndValues(tape, x, state.position());
        int size = Math.min(keys, state.capacity());
        Tensor ring = state.tensor("keys_and_values", x.size(0), size, fresh.size(2));
        Tensor attended;
        if (count == 1) {
            Rows.copyToRing(tape.stream(), fresh, ring, state.position());
            Tensor rows = state.rows(tape, size, Math.min(before, size - 1), 1);
            attended =
                    AttentionRowsOperation.apply(
                            tape, queries, ring, rows, heads, 0, 0, dropoutKey);
        } else {
            Tensor seen = Rows.allocate(tape, fresh, before + count);
            Rows.copyFromRing(tape.stream(), ring, state.position(), seen, before);
            Rows.copy(tape.stream(), fresh, 0, seen, before, count);
            Rows.copyToRing(tape.stream(), fresh, ring, state.position());
            Tensor rows = state.rows(tape, before + count, before, count);
            attended =
                    AttentionRowsOperation.apply(
                            tape, queries, seen, rows, heads, keys, 0, dropoutKey);
        }
        return output.apply(tape, ReshapeOperation.apply(tape, attended, x.shape()));
    }

    /** Keys and values of the positions that a query sees. */
    @Override
    public long stateSize(int length) {
        return 2L * Math.min(length, keys) * output.weight().size(0);
    }

    /** Of the window, whatever the length, and without the position more that the original's code sees. */
    @Override
    public long publishedStateSize(int length) {
        return 2L * window * output.weight().size(0);
    }
}
