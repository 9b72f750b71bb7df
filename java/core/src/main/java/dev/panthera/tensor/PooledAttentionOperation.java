package dev.panthera.tensor;

import dev.panthera.kernels.BlockLists;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.HeadLayout;
import dev.panthera.kernels.PooledAttentionKernel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Causal attention to one key and value for each block of positions that has ended; see {@link PooledAttentionKernel}. */
public record PooledAttentionOperation(
        PooledAttentionKernel kernel,
        Tensor q,
        Tensor k,
        Tensor v,
        @Nullable Tensor excluded,
        PartialAttention result)
        implements Operation {

    /**
     * What the keys are.
     *
     * @param always leading keys that all queries see, without bias
     * @param size positions of a block; there is a key for each behind the leading ones
     * @param bias added to the scores of blocks: log(size) if a block counts for its positions; else 0
     * @param lists of blocks that a query does not see; {@link BlockLists#NONE}: it sees all that have ended
     * @param excluded int32, as {@code lists} says; null exactly without lists
     */
    public record Blocks(
            int always, int size, float bias, BlockLists lists, @Nullable Tensor excluded) {

        /** A query sees all that have ended. */
        public static Blocks all(int always, int size, float bias) {
            return new Blocks(always, size, bias, BlockLists.NONE, null);
        }

        /** All but those that are listed. */
        public Blocks without(BlockLists listed, Tensor entries) {
            return new Blocks(always, size, bias, listed, entries);
        }
    }

    /**
     * Attention with the usual scale.
     *
     * @param heads of queries
     * @param kvHeads of keys and values; divides heads: query head h has those of {@code h / (heads / kvHeads)}
     * @param q {@code (batch, length, heads * headDim)}
     * @param k {@code (batch, always + blocks, kvHeads * headDim)}, of at most {@code length / size} blocks
     * @param v likewise
     */
    public static PartialAttention apply(
            Tape tape, Blocks blocks, int heads, int kvHeads, Tensor q, Tensor k, Tensor v) {
        if (k.rank() != 3 || k.size(1) - blocks.always > q.size(1) / blocks.size) {
            throw unfit(blocks, heads, kvHeads, q, k, v);
        }
        return run(tape, blocks, 0, heads, kvHeads, q, k, v);
    }

    /**
     * As {@link #apply} of queries at the positions from {@code first} on. No gradient passes.
     *
     * @param k {@code (batch, capacity, kvHeads * headDim)}, of which those rows are read that the queries see
     * @param v likewise
     */
    public static PartialAttention extend(
            Tape tape,
            Blocks blocks,
            int first,
            int heads,
            int kvHeads,
            Tensor q,
            Tensor k,
            Tensor v) {
        tape.requireEvaluation("pooled attention");
        return run(tape, blocks, first, heads, kvHeads, q, k, v);
    }

    private static IllegalArgumentException unfit(
            Blocks blocks, int heads, int kvHeads, Tensor q, Tensor k, Tensor v) {
        return new IllegalArgumentException(
                ("pooled attention: queries %s, keys %s, values %s for %d and %d heads, %d keys and blocks of %d; expected"
                                + " (batch, length, heads * head_dim), and a key for each finished block at most")
                        .formatted(q, k, v, heads, kvHeads, blocks.always, blocks.size));
    }

    private static PartialAttention run(
            Tape tape,
            Blocks blocks,
            int first,
            int heads,
            int kvHeads,
            Tensor q,
            Tensor k,
            Tensor v) {
        int headDim = q.size(-1) / heads;
        if (q.rank() != 3
                || k.rank() != 3
                || !Arrays.equals(k.shape(), v.shape())
                || k.size(0) != q.size(0)
                || k.size(1) < blocks.always
                || heads % kvHeads != 0
                || q.size(-1) != heads * headDim
                || k.size(-1) != kvHeads * headDim) {
            throw unfit(blocks, heads, kvHeads, q, k, v);
        }
        int batch = q.size(0);
        int length = q.size(1);
        checkLists(blocks, length);
        HeadLayout queries = HeadLayout.dense(length, heads, headDim);
        HeadLayout keys = HeadLayout.dense(k.size(1), kvHeads, headDim);
        var kernel =
                new PooledAttentionKernel(
                        (float) (1 / Math.sqrt(headDim)),
                        blocks.bias,
                        batch,
                        heads,
                        kvHeads,
                        length,
                        first,
                        headDim,
                        blocks.always,
                        Math.min(k.size(1) - blocks.always, (first + length) / blocks.size),
                        blocks.size,
                        blocks.lists,
                        queries,
                        keys,
                        keys,
                        queries);
        var result =
                new PartialAttention(tape.allocate(q.shape()), tape.allocate(batch, heads, length));
        tape.run(new PooledAttentionOperation(kernel, q, k, v, blocks.excluded, result));
        return result;
    }

    private static void checkLists(Blocks blocks, int length) {
        Tensor excluded = blocks.excluded;
        long elements = excluded == null ? 0 : excluded.size();
        if (elements != blocks.lists.elements(length)
                || excluded != null && excluded.values().type() != DataType.I32) {
            throw new IllegalArgumentException(
                    "pooled attention: excluded blocks %s do not hold %s of int32 for %d queries"
                            .formatted(excluded, blocks.lists, length));
        }
    }

    @Override
    public String name() {
        return "pooled attention";
    }

    /** As if no block were excluded. */
    @Override
    public double flops() {
        double pairs =
                (double) kernel.always() * kernel.length()
                        + blocksSeenBefore(kernel.first() + kernel.length())
                        - blocksSeenBefore(kernel.first());
        return 4.0 * kernel.batch() * kernel.heads() * kernel.headDim() * pairs;
    }

    /** By the positions before one, in all. */
    private double blocksSeenBefore(long position) {
        double early = Math.min(position, kernel.blocks() * kernel.blockSize());
        double whole = Math.floor(early / kernel.blockSize());
        double rest = early - whole * kernel.blockSize();
        return kernel.blockSize() * whole * (whole - 1) / 2
                + rest * whole
                + (position - early) * kernel.blocks();
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(
                    tape.stream(),
                    excludedValues(),
                    q.values(),
                    k.values(),
                    v.values(),
                    result.o().values(),
                    result.logSumExp().values(),
                    Tape.Scratch.of(workspace));
        }
    }

    private @Nullable DeviceBuffer excludedValues() {
        return excluded == null ? null : excluded.values();
    }

    @Override
    public void backward(Tape tape) {
        var dq = tape.newGradient(q);
        var dk = tape.newGradient(k);
        var dv = tape.newGradient(v);
        try (var dO = new OutputGradient(tape, result.o());
                var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    excludedValues(),
                    q.values(),
                    k.values(),
                    v.values(),
                    result.o().values(),
                    result.logSumExp().values(),
                    dO.buffer(),
                    result.logSumExp().gradient(),
                    dq.buffer(),
                    dk.buffer(),
                    dv.buffer(),
                    Tape.Scratch.of(workspace));
        }
        tape.give(dq, q);
        tape.give(dk, k);
        tape.give(dv, v);
    }

    @Override
    public Tensor[] outputs() {
        return new Tensor[] {result.o(), result.logSumExp()};
    }

    @Override
    public Tensor[] finiteOutputs() {
        return new Tensor[] {result.o()};
    }
}
