package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.BlockLists;
import dev.panthera.kernels.DataType;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.SparseAttentionOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.Arrays;
import java.util.function.Supplier;

/**
 * Causal softmax attention to few keys (Zaheer et al. 2020, arXiv 2007.14062, section 2): a query sees the last {@code 3 b + 1}
 * positions, its own included, the first {@code 2 b}, and some that are {@linkplain RandomPairs drawn at random}, where b is
 * {@code blockSize}.
 *
 * <p>The original draws {@code 3 b} pairs for a whole sequence, anew in each step, in evaluation too. Here they are drawn once, for
 * the model's length: of the same expected number, but a property of the layer, as its weights are. So evaluation is repeatable,
 * what a query sees does not change as the sequence grows, which decoding needs, and a training step reads nothing from the host.
 * Another {@code seed} gives other pairs.
 *
 * @param pairs let queries see random keys
 */
public record BigBird(
        @StateName("Wqkv") Linear projection,
        @StateName("out_proj") Linear output,
        int heads,
        int blockSize,
        RandomPairs pairs)
        implements Mixer {

    /**
     * @param heads divides the width; the original has one
     * @param blockSize b
     * @param seed of the random pairs
     * @param bias whether the query, key and value projections have one; the output projection always does
     */
    public record Config(int heads, int blockSize, long seed, boolean bias) implements MixerConfig {
        private static final int LARGEST = 1 << 28;

        public Config {
            Heads.requirePositive("bigbird", heads);
            UserException.require(
                    blockSize >= 1 && blockSize <= LARGEST,
                    "bigbird: block_size %d: from 1 to %d are possible; try 8",
                    blockSize,
                    LARGEST);
        }

        public Config(int heads, int blockSize) {
            this(heads, blockSize, 0, true);
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
        public BigBird build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            return new BigBird(
                    Linear.of(width, layer.hidden(3), bias, init),
                    Linear.residual(width, width, init),
                    heads,
                    blockSize,
                    new RandomPairs.Drawn(seed, layer.index(), 3 * blockSize, layer.length()));
        }
    }

    /** The same, with other random keys. */
    public BigBird seeing(RandomPairs others) {
        return new BigBird(projection, output, heads, blockSize, others);
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
        var random = new RandomKeys(pairs, 0, x.size(1));
        return SparseAttentionOperation.apply(
                        tape,
                        visible(random, () -> tape.integers(random, random::lists, random.size())),
                        heads,
                        heads,
                        Columns.part(packed, 0, 3),
                        Columns.part(packed, 1, 3),
                        Columns.part(packed, 2, 3))
                .o();
    }

    /** Keeps all keys and values: any of them may be one that a later query draws. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int position = state.position();
        var parts = new QueriesKeysValues(projection, heads, false);
        Tensor queries = parts.queries(tape, x, position);
        Tensor cache = state.history("keys_and_values", parts.keysAndValues(tape, x, position));
        var random = new RandomKeys(pairs, position, x.size(1));
        var attended =
                SparseAttentionOperation.extend(
                        tape,
                        visible(random, () -> uploaded(tape, random)),
                        position,
                        heads,
                        heads,
                        Columns.of(queries),
                        Columns.part(cache, 0, 2),
                        Columns.part(cache, 1, 2));
        return output.apply(tape, attended.o());
    }

    /** Positions and their random keys, as lists of blocks of one key each. */
    private record RandomKeys(RandomPairs pairs, int first, int count) {
        BlockLists layout() {
            return new BlockLists(pairs.most(), 1, 1, 1, 1);
        }

        int size() {
            return Math.multiplyExact(count, pairs.most());
        }

        int[] lists() {
            int[] lists = new int[size()];
            Arrays.fill(lists, -1);
            for (int i = 0; i < count; i++) {
                int[] keys = pairs.keys(first + i).toArray();
                System.arraycopy(keys, 0, lists, i * pairs.most(), keys.length);
            }
            return lists;
        }
    }

    private static Tensor uploaded(Tape tape, RandomKeys random) {
        Tensor lists = tape.allocateConstant(DataType.I32, random.size());
        tape.stream().copyToDevice(lists.values(), random.lists());
        return lists;
    }

    /** What queries see; as long as all of it is in the window, without the others. */
    private SparseAttentionOperation.Visible visible(RandomKeys random, Supplier<Tensor> lists) {
        int window = 3 * blockSize + 1;
        if (random.first + random.count <= window) {
            return SparseAttentionOperation.Visible.window(window);
        }
        return new SparseAttentionOperation.Visible(
                window, 2 * blockSize, random.layout(), lists.get());
    }

    /** Keys and values of every token. */
    @Override
    public long stateSize(int length) {
        return 2L * length * output.weight().size(0);
    }

    /** Keys and values of seven blocks, whatever the length. */
    @Override
    public long publishedStateSize(int length) {
        return 14L * blockSize * output.weight().size(0);
    }
}
