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
import java.util.Collections;
import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * Causal softmax attention to few keys (Zaheer et al. 2020, arXiv 2007.14062, section 2): a query sees the last {@code 3 b + 1}
 * positions, its own included, the first {@code 2 b}, and some {@linkplain RandomKeys at random}, where b is {@code blockSize}.
 *
 * <p>The original draws {@code 3 b} pairs for a whole sequence, anew in each step, in evaluation too. Here they are drawn once, for
 * the model's length, and belong to the layer as its weights do. So evaluation is repeatable, what a query sees does not change
 * as the sequence grows, which decoding needs, and a training step reads nothing from the host. Another {@code seed} gives other
 * pairs.
 *
 * @param random what queries see at random
 */
public record BigBird(
        @StateName("Wqkv") Linear projection,
        @StateName("out_proj") Linear output,
        int heads,
        int blockSize,
        RandomKeys random)
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
            int draws = 3 * blockSize < layer.length() ? 3 * blockSize : 0;
            return new BigBird(
                    Linear.of(width, layer.hidden(3), bias, init),
                    Linear.residual(width, width, init),
                    heads,
                    blockSize,
                    RandomKeys.drawn(seed, layer.index(), draws, layer.length()));
        }
    }

    /** The same, with other random keys. */
    public BigBird seeing(RandomKeys others) {
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
        var lists = new Lists(random, 0, x.size(1), 0, List.of());
        return SparseAttentionOperation.apply(
                        tape,
                        visible(lists, () -> tape.integers(lists, lists::values, lists.size())),
                        heads,
                        heads,
                        Columns.part(packed, 0, 3),
                        Columns.part(packed, 1, 3),
                        Columns.part(packed, 2, 3))
                .o();
    }

    /** Keeps the keys and values of the window, and those before it that a later query sees: which these are is known. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int count = x.size(1);
        int position = state.position();
        var parts = new QueriesKeysValues(projection, heads, false);
        Tensor queries = parts.queries(tape, x, position);
        Tensor fresh = parts.keysAndValues(tape, x, position);
        Tensor recent = state.withPast(tape, "recent", window(), fresh);
        int start = position + count - recent.size(1);
        List<Integer> lasting = lasting(state.capacity());
        int older = (int) lasting.stream().filter(key -> key < start).count();
        Tensor seen = recent;
        if (!lasting.isEmpty()) {
            Tensor kept = state.tensor("lasting", x.size(0), lasting.size(), fresh.size(2));
            seen = joined(tape, kept, older, recent);
            int leaving = position + count - window();
            for (int i = older; i < lasting.size() && lasting.get(i) < leaving; i++) {
                Rows.copy(tape.stream(), recent, lasting.get(i) - start, kept, i, 1);
            }
        }
        var lists = new Lists(random, position, count, start, lasting.subList(0, older));
        var attended =
                SparseAttentionOperation.extend(
                        tape,
                        visible(lists, () -> uploaded(tape, lists)),
                        seen.size(1) - count,
                        heads,
                        heads,
                        Columns.of(queries),
                        Columns.part(seen, 0, 2),
                        Columns.part(seen, 1, 2));
        return output.apply(tape, attended.o());
    }

    /** The first rows of a tensor, followed by another one. */
    private static Tensor joined(Tape tape, Tensor kept, int count, Tensor recent) {
        if (count == 0) {
            return recent;
        }
        Tensor joined = Rows.allocate(tape, recent, count + recent.size(1));
        Rows.copy(tape.stream(), kept, 0, joined, 0, count);
        Rows.copy(tape.stream(), recent, 0, joined, count, recent.size(1));
        return joined;
    }

    private int window() {
        return 3 * blockSize + 1;
    }

    private int globals() {
        return 2 * blockSize;
    }

    /** The keys that a query before the given length sees after they have left its window, ascending. */
    private List<Integer> lasting(int length) {
        SortedSet<Integer> keys = new TreeSet<>();
        for (int key = 0; key < Math.min(globals(), length - window()); key++) {
            keys.add(key);
        }
        random.byQuery()
                .headMap(length)
                .forEach((query, seen) -> keys.addAll(seen.headSet(query - window() + 1)));
        return List.copyOf(keys);
    }

    /**
     * The random keys of some queries as lists of blocks, of one key each.
     *
     * @param start position of the first row that is there behind the older ones
     * @param older positions of the rows before that
     */
    private record Lists(RandomKeys random, int first, int count, int start, List<Integer> older) {
        BlockLists layout() {
            return new BlockLists(random.most(), 1, 1, 1, 1);
        }

        int size() {
            return Math.multiplyExact(count, random.most());
        }

        int[] values() {
            int[] values = new int[size()];
            Arrays.fill(values, -1);
            random.byQuery()
                    .subMap(first, first + count)
                    .forEach((query, keys) -> {
                        int at = (query - first) * random.most();
                        for (int key : keys) {
                            values[at++] = row(key);
                        }
                    });
            return values;
        }

        private int row(int key) {
            return key < start ? Collections.binarySearch(older, key) : key - start + older.size();
        }
    }

    private static Tensor uploaded(Tape tape, Lists lists) {
        Tensor values = tape.allocateConstant(DataType.I32, lists.size());
        tape.stream().copyToDevice(values.values(), lists.values());
        return values;
    }

    /** What queries see; without lists where the window has it all, or nothing is seen at random. */
    private SparseAttentionOperation.Visible visible(Lists lists, Supplier<Tensor> values) {
        if (lists.first + lists.count <= window() || random.most() == 0) {
            return new SparseAttentionOperation.Visible(window(), globals(), BlockLists.NONE, null);
        }
        return new SparseAttentionOperation.Visible(
                window(), globals(), lists.layout(), values.get());
    }

    /** Keys and values of the window, and of those keys before it that are seen again. */
    @Override
    public long stateSize(int length) {
        long keys = (long) Math.min(length, window()) + lasting(length).size();
        return 2L * keys * output.weight().size(0);
    }

    /** Keys and values of seven blocks, whatever the length. */
    @Override
    public long publishedStateSize(int length) {
        return 14L * blockSize * output.weight().size(0);
    }
}
