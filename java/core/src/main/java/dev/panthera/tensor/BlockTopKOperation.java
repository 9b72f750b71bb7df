package dev.panthera.tensor;

import dev.panthera.kernels.BlockLists;
import dev.panthera.kernels.BlockTopKKernel;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.HeadLayout;
import org.jspecify.annotations.Nullable;

/** Lists the finished blocks whose keys fit a query best; see {@link BlockTopKKernel}. */
public record BlockTopKOperation(
        BlockTopKKernel kernel, Tensor q, Tensor keys, int always, Tensor listed)
        implements Operation {

    /**
     * What is wanted of each query.
     *
     * @param k so many blocks at most
     * @param blockSize positions of a block
     * @param minWeight blocks whose softmax weight is not larger are left out; {@link BlockTopKKernel#ANY_WEIGHT}: none is
     * @param own whether a last entry is the block that the query is in
     */
    public record Wanted(int k, int blockSize, float minWeight, boolean own) {}

    /**
     * What is listed; a constant, through which no gradient passes.
     *
     * @param lists what the tensor means
     * @param blocks int32 {@code (batch, kvHeads, length, slots)}
     */
    public record Listed(BlockLists lists, Tensor blocks) {}

    /**
     * Of queries at the positions from 0 on, with scores of the usual scale.
     *
     * @param heads of queries
     * @param kvHeads of keys; divides heads, and each has one list for all its query heads
     * @param q {@code (batch, length, heads * headDim)}
     * @param keys {@code (batch, always + blocks, kvHeads * headDim)}, of at most {@code length / blockSize} blocks
     * @param always leading rows of keys that stand for no block
     */
    public static Listed apply(
            Tape tape, Wanted wanted, int heads, int kvHeads, Tensor q, Tensor keys, int always) {
        if (keys.rank() != 3 || keys.size(1) - always > q.size(1) / wanted.blockSize) {
            throw unfit(wanted, heads, kvHeads, q, keys, always);
        }
        return extend(tape, wanted, 0, heads, kvHeads, q, keys, always);
    }

    /**
     * As {@link #apply} of queries at the positions from {@code first} on.
     *
     * @param keys {@code (batch, capacity, kvHeads * headDim)}, of which those rows are read whose blocks have ended
     */
    public static Listed extend(
            Tape tape,
            Wanted wanted,
            int first,
            int heads,
            int kvHeads,
            Tensor q,
            Tensor keys,
            int always) {
        int headDim = q.size(-1) / heads;
        if (q.rank() != 3
                || keys.rank() != 3
                || keys.size(0) != q.size(0)
                || keys.size(1) < always
                || heads % kvHeads != 0
                || q.size(-1) != heads * headDim
                || keys.size(-1) != kvHeads * headDim) {
            throw unfit(wanted, heads, kvHeads, q, keys, always);
        }
        int length = q.size(1);
        int blocks = Math.min(keys.size(1) - always, (first + length) / wanted.blockSize);
        var kernel =
                new BlockTopKKernel(
                        (float) (1 / Math.sqrt(headDim)),
                        wanted.minWeight,
                        q.size(0),
                        heads,
                        kvHeads,
                        length,
                        first,
                        headDim,
                        blocks,
                        wanted.blockSize,
                        wanted.k,
                        wanted.own,
                        HeadLayout.dense(length, heads, headDim),
                        HeadLayout.dense(keys.size(1), kvHeads, headDim));
        BlockLists lists = kernel.lists();
        Tensor listed =
                tape.allocateConstant(
                        DataType.I32, q.size(0), kvHeads, length, (int) lists.slots());
        tape.run(new BlockTopKOperation(kernel, q, keys, always, listed));
        return new Listed(lists, listed);
    }

    private static IllegalArgumentException unfit(
            Wanted wanted, int heads, int kvHeads, Tensor q, Tensor keys, int always) {
        return new IllegalArgumentException(
                ("block top k: queries %s, keys %s for %d and %d heads, %d keys before blocks of %d; expected (batch, length,"
                                + " heads * head_dim), and a key for each finished block at most")
                        .formatted(q, keys, heads, kvHeads, always, wanted.blockSize));
    }

    @Override
    public String name() {
        return "block top k";
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.workspaceBytes(tape.stream()))) {
            kernel.list(
                    tape.stream(),
                    q.values(),
                    blockKeys(),
                    listed.values(),
                    Tape.Scratch.of(workspace));
        }
    }

    private @Nullable DeviceBuffer blockKeys() {
        if (kernel.blocks() == 0) {
            return null;
        }
        long skipped = (long) always * keys.size(-1);
        return keys.values().slice(skipped, keys.size() - skipped);
    }

    /** Nothing: the result wants no gradient. */
    @Override
    public void backward(Tape tape) {}

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {listed};
    }

    /** Numbers of blocks are always finite. */
    @Override
    public Tensor[] finiteOutputs() {
        return new Tensor[0];
    }
}
