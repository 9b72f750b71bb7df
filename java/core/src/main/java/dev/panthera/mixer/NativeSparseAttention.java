package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.Norm;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.ActivationOperation;
import dev.panthera.tensor.BroadcastOperation;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.PermuteOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.RotaryOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Native sparse attention (Yuan et al. 2025, arXiv 2502.11089, section 3): three softmax attentions with the same queries, each over few
 * keys, whose outputs are weighted for each head by gates of the present token:
 *
 * <pre>
 * y[t] = W_o concat_h ( sum_{i = 1..3} sigmoid(w_ih . x[t] + b_ih) o_ih[t] )
 *
 * o_1: over learned keys, and one key and value for each block of positions that has ended, made of the block's by a network
 * o_2: over the positions of the blocks whose keys fit the query best in o_1, and of its own block, up to its own
 * o_3: over the last positions
 * </pre>
 *
 * Blocks are positions {@code [j * blockSize, (j + 1) * blockSize)}. How well a block fits is its score in o_1, averaged over the query
 * heads that share keys. x is normalised first. Keys and queries of o_2 and o_3 are rotated by their positions.
 *
 * @param norm null: x is taken as it is
 * @param projection to queries, keys and values
 * @param memories the learned keys and values of o_1, {@code (2, keyHeads, memories, headDim)}
 * @param keyPlaces what is added to the keys of a block, {@code (keyHeads, blockSize, headDim)}; {@code valuePlaces} likewise
 * @param gates to the gates of all heads: three of a head side by side
 */
public record NativeSparseAttention(
        @Nullable Norm norm,
        @StateName("to_qkv") Linear projection,
        @StateName("compress_mem_kv") Tensor memories,
        @StateName("k_intrablock_positions") Tensor keyPlaces,
        @StateName("v_intrablock_positions") Tensor valuePlaces,
        @StateName("k_compress") BlockCompression keyCompression,
        @StateName("v_compress") BlockCompression valueCompression,
        @StateName("rotary_emb") Frequencies frequencies,
        @StateName("to_strategy_combine.0") Linear gates,
        @StateName("combine_heads") Linear output,
        Config config)
        implements Mixer {
    private static final int BRANCHES = 3;
    private static final double ROTARY_BASE = 10_000;

    /** That of the original: the precision of single-precision numbers. */
    private static final double NORM_EPSILON = 0x1p-23;

    /**
     * The angles' rates, which checkpoints of the original have: frozen, since they follow from the width of a head.
     *
     * @param rates {@code 10000^(-2 i / headDim)} for each pair of channels (2 i, 2 i + 1)
     */
    public record Frequencies(@StateName("freqs") Tensor rates) implements Parameterized {
        static Frequencies of(int headDim, Init init) {
            float[] rates = new float[headDim / 2];
            for (int i = 0; i < rates.length; i++) {
                rates[i] = (float) Math.pow(ROTARY_BASE, -2.0 * i / headDim);
            }
            return new Frequencies(init.values(rates, false, rates.length));
        }
    }

    /**
     * @param heads divides the width; each has an even number of channels
     * @param keyHeads heads of keys and values, which divide {@code heads}; 0: as many as those
     * @param window how many positions a query sees in o_3, its own included
     * @param blockSize positions of a block
     * @param selectedBlocks how many blocks a query sees in o_2 beside its own; 0: all positions up to its own
     * @param sharedSelection whether the query heads that share keys see the same blocks; else each chooses its own, and o_2 takes the
     *     memory of as many heads of keys
     * @param memories learned keys and values of o_1, for each head of keys
     * @param expansion hidden channels of the networks that compress, for each channel of a block
     * @param norm whether x is normalised first
     * @param causal false: as published, where o_3 sees {@code window - 1} positions to come, and as many zeros behind the last position
     *     as fill up a multiple of that; it costs {@code length^2}
     */
    public record Config(
            int heads,
            int keyHeads,
            int window,
            int blockSize,
            int selectedBlocks,
            boolean sharedSelection,
            int memories,
            double expansion,
            boolean norm,
            boolean causal)
            implements MixerConfig {
        public Config {
            Heads.requirePositive("native sparse attention", heads);
            UserException.require(
                    keyHeads == 0 || keyHeads > 0 && heads % keyHeads == 0,
                    "native sparse attention: key_heads %d: they must divide the %d heads of queries; try 0, as many",
                    keyHeads,
                    heads);
            UserException.require(
                    window >= 1, "--window %d: a position sees at least itself; try 16", window);
            UserException.require(
                    blockSize >= 1,
                    "native sparse attention: block_size %d: a block has at least one position; try 8",
                    blockSize);
            UserException.require(
                    selectedBlocks >= 0,
                    "native sparse attention: selected_blocks %d: try 4, or 0 for all positions",
                    selectedBlocks);
            UserException.require(
                    memories >= 1,
                    "native sparse attention: memories %d: the first queries see no block, so at least one is needed; try 1",
                    memories);
            UserException.require(
                    expansion > 0 && Double.isFinite(expansion),
                    "native sparse attention: expansion %s: a positive number is needed; try 1",
                    expansion);
        }

        /** With as many heads of keys as of queries, and the usual rest. */
        public Config(int heads, int window, int blockSize, int selectedBlocks) {
            this(heads, 0, window, blockSize, selectedBlocks, true, 1, 1, true, true);
        }

        int keyHeadCount() {
            return keyHeads == 0 ? heads : keyHeads;
        }

        @Override
        public void check(int width) {
            Heads.requireDivisor(heads, width);
            UserException.require(
                    width / heads % 2 == 0,
                    "--heads %d: each has %d channels, and rotary positions turn pairs of them; try another --d-model or --heads",
                    heads,
                    width / heads);
            double block = (double) blockSize * (width / heads);
            double hidden = Math.floor(expansion * block);
            UserException.require(
                    hidden >= 1 && Math.max(block, hidden) <= Integer.MAX_VALUE,
                    "native sparse attention: blocks of %.0f channels are compressed by %.0f hidden ones, which must be 1 to %d; try block_size 8 and expansion 1",
                    block,
                    hidden,
                    Integer.MAX_VALUE);
        }

        @Override
        public NativeSparseAttention build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            int headDim = width / heads;
            int keyHeads = keyHeadCount();
            int block = blockSize * headDim;
            int hidden = (int) (expansion * block);
            return new NativeSparseAttention(
                    norm ? Norm.rms(width, NORM_EPSILON, init) : null,
                    Linear.of(width, Heads.width(heads + 2 * keyHeads, headDim), false, init),
                    init.constant(0, 2, keyHeads, memories, headDim),
                    init.constant(0, keyHeads, blockSize, headDim),
                    init.constant(0, keyHeads, blockSize, headDim),
                    BlockCompression.of(block, hidden, headDim, init),
                    BlockCompression.of(block, hidden, headDim, init),
                    Frequencies.of(headDim, init),
                    Linear.of(width, BRANCHES * heads, init),
                    Linear.of(width, width, false, init),
                    this);
        }
    }

    @Override
    public boolean causal() {
        return config.causal();
    }

    private int headDim() {
        return keyPlaces.size(2);
    }

    /** Channels of all keys. */
    private int keyWidth() {
        return config.keyHeadCount() * headDim();
    }

    private int width() {
        return config.heads() * headDim();
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor normed = normalised(tape, x);
        return combined(tape, normed, branches(tape, normed));
    }

    /** All rows attend; the needed ones alone have gates and are projected. */
    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        Tensor normed = normalised(tape, x);
        List<Tensor> needed =
                branches(tape, normed).stream()
                        .map(branch -> GatherRowsOperation.apply(tape, branch, rows))
                        .toList();
        return combined(tape, GatherRowsOperation.apply(tape, normed, rows), needed);
    }

    private Tensor normalised(Tape tape, Tensor x) {
        return norm == null ? x : norm.apply(tape, x);
    }

    /** What the three attentions give, each {@code (batch, length, width)}. */
    private List<Tensor> branches(Tape tape, Tensor x) {
        Tensor keys = projectedKeys(tape, x);
        Tensor values = projectedValues(tape, x);
        Tensor blockKeys = memory(tape, 0, x.size(0));
        Tensor blockValues = memory(tape, 1, x.size(0));
        int rows = x.size(1) / config.blockSize() * config.blockSize();
        if (rows > 0) {
            Tensor ended = compressedKeys(tape, firstRows(tape, keys, rows));
            blockKeys = ConcatenateOperation.apply(tape, 1, blockKeys, ended);
            ended = compressedValues(tape, firstRows(tape, values, rows));
            blockValues = ConcatenateOperation.apply(tape, 1, blockValues, ended);
        }
        Tensor rotated = rotated(tape, keys, config.keyHeadCount(), 0);
        var seen = new NativeSparseBranches.Seen(0, false, rotated, values, blockKeys, blockValues);
        return attentions().apply(tape, projectedQueries(tape, x), seen);
    }

    private NativeSparseBranches attentions() {
        return new NativeSparseBranches(config, headDim());
    }

    private Tensor projectedQueries(Tape tape, Tensor x) {
        return projection.outputs(0, width()).apply(tape, x);
    }

    private Tensor projectedKeys(Tape tape, Tensor x) {
        return projection.outputs(width(), keyWidth()).apply(tape, x);
    }

    private Tensor projectedValues(Tape tape, Tensor x) {
        return projection.outputs(width() + keyWidth(), keyWidth()).apply(tape, x);
    }

    private static Tensor firstRows(Tape tape, Tensor x, int rows) {
        return rows == x.size(1) ? x : SliceOperation.apply(tape, x, 1, 0, rows);
    }

    static Tensor rotated(Tape tape, Tensor x, int heads, int first) {
        return RotaryOperation.apply(tape, Columns.of(x), heads, true, ROTARY_BASE, first);
    }

    /** The learned keys (0) or values (1), {@code (batch, memories, keyWidth)}. */
    private Tensor memory(Tape tape, int which, int batch) {
        Tensor headsLast = PermuteOperation.apply(tape, memories.part(which, 1), 0, 2, 1, 3);
        Tensor rows = ReshapeOperation.apply(tape, headsLast, 1, config.memories(), keyWidth());
        return BroadcastOperation.apply(tape, rows, batch, config.memories(), keyWidth());
    }

    private Tensor compressedKeys(Tape tape, Tensor keys) {
        return keyCompression.apply(tape, keys, keyPlaces);
    }

    private Tensor compressedValues(Tape tape, Tensor values) {
        return valueCompression.apply(tape, values, valuePlaces);
    }

    /** Of as many rows as the branches have: the gated sum of these, projected. */
    private Tensor combined(Tape tape, Tensor x, List<Tensor> branches) {
        int rows = Math.toIntExact(x.rows());
        Tensor each =
                ReshapeOperation.apply(
                        tape,
                        ActivationOperation.apply(tape, Activation.SIGMOID, gates.apply(tape, x)),
                        rows,
                        config.heads(),
                        BRANCHES);
        Tensor sum = null;
        for (int i = 0; i < BRANCHES; i++) {
            Tensor gated =
                    ReshapeOperation.apply(tape, branches.get(i), rows, config.heads(), headDim())
                            .times(SliceOperation.apply(tape, each, 2, i, 1));
            sum = sum == null ? gated : sum.plus(gated);
        }
        return output.apply(tape, ReshapeOperation.apply(tape, sum, x.size(0), x.size(1), width()));
    }

    /** Keeps what {@link #stateSize} says. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        Tensor normed = normalised(tape, x);
        int first = state.position();
        Tensor fresh = projectedKeys(tape, normed);
        Tensor rotated = rotated(tape, fresh, config.keyHeadCount(), first);
        Tensor keys = state.history("keys", rotated);
        Tensor values = state.history("values", projectedValues(tape, normed));
        Tensor blockKeys = blocks(tape, "block_keys", 0, state);
        Tensor blockValues = blocks(tape, "block_values", 1, state);
        addBlocks(tape, fresh, values, blockKeys, blockValues, state);
        var seen = new NativeSparseBranches.Seen(first, true, keys, values, blockKeys, blockValues);
        Tensor queries = projectedQueries(tape, normed);
        return combined(tape, normed, attentions().apply(tape, queries, seen));
    }

    /** The learned keys (0) or values (1), with room for those of blocks behind them. */
    private Tensor blocks(Tape tape, String name, int which, DecodeState state) {
        int rows = config.memories() + state.capacity() / config.blockSize();
        Tensor all = state.tensor(name, state.batch(), rows, keyWidth());
        if (state.position() == 0) {
            Tensor learned = memory(tape, which, state.batch());
            Rows.copy(tape.stream(), learned, 0, all, 0, config.memories());
        }
        return all;
    }

    /**
     * Compresses the blocks that end with the new positions.
     *
     * @param keys of the new positions, not rotated
     * @param values of all positions
     */
    private void addBlocks(
            Tape tape,
            Tensor keys,
            Tensor values,
            Tensor blockKeys,
            Tensor blockValues,
            DecodeState state) {
        int size = config.blockSize();
        int end = state.position() + keys.size(1);
        Tensor recent = state.withPast(tape, "unfinished_keys", size - 1, keys);
        int from = state.position() / size;
        int count = end / size - from;
        if (count == 0) {
            return;
        }
        int recentFrom = end - recent.size(1);
        Tensor k = Rows.of(tape, recent, from * size - recentFrom, count * size);
        Tensor v = Rows.of(tape, values, from * size, count * size);
        int to = config.memories() + from;
        Rows.copy(tape.stream(), compressedKeys(tape, k), 0, blockKeys, to, count);
        Rows.copy(tape.stream(), compressedValues(tape, v), 0, blockValues, to, count);
    }

    /**
     * Keys and values of all positions, since any block may be selected later; those of blocks that have ended, behind the learned ones;
     * and the keys of the block that has not, as they are before their rotation.
     */
    @Override
    public long stateSize(int length) {
        long rows = 2L * length + 2L * (config.memories() + length / config.blockSize());
        return keyWidth() * (rows + Math.min(length, config.blockSize() - 1));
    }

    /**
     * That of compressed blocks, of {@code window - 1} positions and of the selected blocks, in the model's width: as if it were known
     * which blocks will be selected.
     */
    @Override
    public long publishedStateSize(int length) {
        long positions =
                length / config.blockSize()
                        + config.window()
                        - 1
                        + (long) config.blockSize() * config.selectedBlocks();
        return 2 * positions * width();
    }
}
