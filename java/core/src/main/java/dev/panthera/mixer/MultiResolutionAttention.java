package dev.panthera.mixer;

import static dev.panthera.kernels.BlockTopKKernel.ANY_WEIGHT;

import dev.panthera.UserException;
import dev.panthera.kernels.Reduction;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.AttentionMergeOperation;
import dev.panthera.tensor.BlockTopKOperation;
import dev.panthera.tensor.BlockTopKOperation.Wanted;
import dev.panthera.tensor.PartialAttention;
import dev.panthera.tensor.PooledAttentionOperation;
import dev.panthera.tensor.PooledAttentionOperation.Blocks;
import dev.panthera.tensor.ReduceOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.SparseAttentionOperation;
import dev.panthera.tensor.SparseAttentionOperation.Visible;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Multi-resolution attention (Zeng et al. 2022, arXiv 2207.10284): exact attention to the keys in a few blocks, and to the
 * means of the other blocks. Block j is positions {@code [j b, (j + 1) b)} for a block size b; {@code k'[j]} and {@code v'[j]} are
 * the means of its keys and values. For query t, R(t) are the blocks with the largest {@code q[t] . k'[j]} among those that end
 * before the block of t, S(t) the positions in them and those of its own block up to t, and for each head
 *
 * <pre>
 * o[t] = (sum_{s in S(t)} exp(scale q[t] . k[s]) v[s] + b sum_{j ended, not in R(t)} exp(scale q[t] . k'[j]) v'[j])
 *        / (the same sum without values)
 * </pre>
 *
 * No projection follows. The published form chooses pairs of blocks from the whole grid, which no query can wait for; see
 * {@link PublishedMultiResolution}.
 */
public record MultiResolutionAttention(
        Linear query, Linear key, Linear value, Config config, int maxLength) implements Mixer {

    /**
     * @param heads divides the width
     * @param blocksPerRow how many blocks R(t) has; as published, this many times the number of blocks that {@code maxLength} has are
     *     chosen from all pairs of blocks
     * @param blockSize positions of a block
     * @param sparse without the means of the other blocks
     * @param causal false: the published form, which looks ahead, for comparison with the original; the options below are its own
     * @param maxLength as of {@code blocksPerRow}; 0: that of the model's longest sequence
     * @param firstBlocks so many blocks from the first on are preferred, as those of queries and of keys
     * @param diagonalBlocks pairs of blocks that lie at most half of this apart are preferred, if it is not 0
     */
    public record Config(
            int heads,
            int blocksPerRow,
            int blockSize,
            boolean sparse,
            boolean causal,
            int maxLength,
            int firstBlocks,
            int diagonalBlocks)
            implements MixerConfig {
        public Config {
            Heads.requirePositive("mra", heads);
            UserException.require(
                    blocksPerRow >= 1,
                    "mra: blocks_per_row %d: at least one block is needed; try 4",
                    blocksPerRow);
            UserException.require(
                    blockSize >= 1,
                    "mra: block_size %d: a block has at least one position; try 32",
                    blockSize);
            UserException.require(
                    maxLength >= 0 && firstBlocks >= 0 && diagonalBlocks >= 0,
                    "mra: max_length %d, first_blocks %d, diagonal_blocks %d: none can be negative; try 0",
                    maxLength,
                    firstBlocks,
                    diagonalBlocks);
            UserException.require(
                    !causal || maxLength == 0 && firstBlocks == 0 && diagonalBlocks == 0,
                    "mra: max_length, first_blocks and diagonal_blocks choose among pairs of blocks of the whole sequence, which "
                            + "the causal form does not; set them to 0, or causal=false");
        }

        /** The causal form with blocks of 32 positions and both resolutions. */
        public Config(int heads, int blocksPerRow) {
            this(heads, blocksPerRow, 32, false, true, 0, 0, 0);
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
        public MultiResolutionAttention build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            int longest = maxLength == 0 ? layer.length() : maxLength;
            UserException.require(
                    causal || longest >= blockSize,
                    "mra: max_length %d has no whole block of %d positions, from which the published form chooses; try a smaller "
                            + "block_size",
                    longest,
                    blockSize);
            return new MultiResolutionAttention(
                    Linear.of(width, width, init),
                    Linear.of(width, width, init),
                    Linear.of(width, width, init),
                    this,
                    longest);
        }
    }

    @Override
    public boolean causal() {
        return config.causal;
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        Tensor q = query.apply(tape, x);
        Tensor k = key.apply(tape, x);
        Tensor v = value.apply(tape, x);
        if (!config.causal) {
            return published().attend(tape, q, k, v);
        }
        int blocks = x.size(1) / config.blockSize;
        return attend(
                tape, 0, q, k, v, means(tape, k, 0, blocks), meansOfValues(tape, v, 0, blocks));
    }

    /**
     * The causal form.
     *
     * @param first position of the first query; 0 in training
     * @param k of all positions up to the last query's, at least; likewise v
     * @param meanKeys of all blocks that have ended by then, at least; null if there are none
     * @param meanValues likewise; null too if they are not attended to
     */
    private Tensor attend(
            Tape tape,
            int first,
            Tensor q,
            Tensor k,
            Tensor v,
            @Nullable Tensor meanKeys,
            @Nullable Tensor meanValues) {
        int seen = first + q.size(1);
        if (meanKeys == null || seen <= config.blockSize) {
            return fine(tape, Visible.window(seen), first, q, k, v).o();
        }
        var wanted = new Wanted(config.blocksPerRow, config.blockSize, ANY_WEIGHT, true);
        int heads = config.heads;
        var nearest = BlockTopKOperation.extend(tape, wanted, first, heads, heads, q, meanKeys, 0);
        Visible near = Visible.listed(nearest.lists(), nearest.blocks());
        PartialAttention fine = fine(tape, near, first, q, k, v);
        if (meanValues == null) {
            return fine.o();
        }
        float positions = (float) Math.log(config.blockSize);
        Blocks others =
                Blocks.all(0, config.blockSize, positions)
                        .without(nearest.lists(), nearest.blocks());
        PartialAttention coarse = coarse(tape, others, first, q, meanKeys, meanValues);
        return AttentionMergeOperation.apply(tape, fine, coarse).o();
    }

    private PartialAttention fine(
            Tape tape, Visible visible, int first, Tensor q, Tensor k, Tensor v) {
        int heads = config.heads;
        return tape.training()
                ? SparseAttentionOperation.apply(tape, visible, heads, heads, q, k, v)
                : SparseAttentionOperation.extend(tape, visible, first, heads, heads, q, k, v);
    }

    private PartialAttention coarse(
            Tape tape, Blocks others, int first, Tensor q, Tensor k, Tensor v) {
        int heads = config.heads;
        return tape.training()
                ? PooledAttentionOperation.apply(tape, others, heads, heads, q, k, v)
                : PooledAttentionOperation.extend(tape, others, first, heads, heads, q, k, v);
    }

    /** Means of the rows of {@code count} blocks from block {@code first} on, {@code (batch, count, channels)}; null of none. */
    private @Nullable Tensor means(Tape tape, Tensor rows, int first, int count) {
        if (count == 0) {
            return null;
        }
        int batch = rows.size(0);
        int size = config.blockSize;
        Tensor whole = SliceOperation.apply(tape, rows, 1, first * size, count * size);
        Tensor split = ReshapeOperation.apply(tape, whole, batch, count, size, -1);
        Tensor means = ReduceOperation.apply(tape, Reduction.MEAN, split, 2);
        return ReshapeOperation.apply(tape, means, batch, count, -1);
    }

    private @Nullable Tensor meansOfValues(Tape tape, Tensor v, int first, int count) {
        return config.sparse ? null : means(tape, v, first, count);
    }

    /** Keeps keys and values of all positions, and the means of blocks once these have ended. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        Tensor q = query.apply(tape, x);
        Tensor k = state.history("keys", key.apply(tape, x));
        Tensor v = state.history("values", value.apply(tape, x));
        return attend(
                tape,
                state.position(),
                q,
                k,
                v,
                keptMeans(tape, state, "mean_keys", k, x.size(1)),
                config.sparse ? null : keptMeans(tape, state, "mean_values", v, x.size(1)));
    }

    /** Those of all blocks, to which come those that end within the next {@code count} positions; null if none ever can. */
    private @Nullable Tensor keptMeans(
            Tape tape, DecodeState state, String name, Tensor rows, int count) {
        int most = state.capacity() / config.blockSize;
        if (most == 0) {
            return null;
        }
        Tensor kept = state.tensor(name, rows.size(0), most, rows.size(2));
        int before = state.position() / config.blockSize;
        int ended = (state.position() + count) / config.blockSize - before;
        Tensor fresh = means(tape, rows, before, ended);
        if (fresh != null) {
            SliceOperation.write(tape, fresh, kept, 1, before);
        }
        return kept;
    }

    private PublishedMultiResolution published() {
        long rows = maxLength / config.blockSize;
        long pairs = Math.min(rows * config.blocksPerRow, rows * rows);
        return new PublishedMultiResolution(
                config.heads,
                config.blockSize,
                Math.toIntExact(pairs),
                config.sparse,
                config.firstBlocks,
                config.diagonalBlocks);
    }

    /** Keys and values of all positions, and the means of whole blocks that are compared or attended to. */
    @Override
    public long stateSize(int length) {
        long blocks = length / config.blockSize;
        return width() * (2L * length + (config.sparse ? blocks : 2 * blocks));
    }

    /** The original counts none at all. */
    @Override
    public long publishedStateSize(int length) {
        return config.causal ? stateSize(length) : 0;
    }

    private int width() {
        return query.weight().size(0);
    }
}
