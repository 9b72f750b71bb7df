package dev.panthera.tensor;

import dev.panthera.kernels.BlockLists;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.HeadLayout;
import dev.panthera.kernels.SparseAttentionKernel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Causal attention over a window, the first positions and listed blocks; see {@link SparseAttentionKernel}. */
public record SparseAttentionOperation(
        SparseAttentionKernel kernel,
        Columns q,
        Columns k,
        Columns v,
        @Nullable Tensor blocks,
        PartialAttention result)
        implements Operation {

    /**
     * Which keys a query sees, of those up to its position.
     *
     * @param window the last positions, its own included; 0: none by this
     * @param globals the first positions; 0: none by this
     * @param lists of blocks of positions; {@link BlockLists#NONE}: none by this
     * @param blocks int32, as {@code lists} says; null exactly without lists
     */
    public record Visible(int window, int globals, BlockLists lists, @Nullable Tensor blocks) {

        /** The last positions alone. */
        public static Visible window(int window) {
            return new Visible(window, 0, BlockLists.NONE, null);
        }

        /** Listed blocks alone. */
        public static Visible listed(BlockLists lists, Tensor blocks) {
            return new Visible(0, 0, lists, blocks);
        }
    }

    /** As below, of whole tensors. */
    public static PartialAttention apply(
            Tape tape, Visible visible, int heads, int kvHeads, Tensor q, Tensor k, Tensor v) {
        return apply(tape, visible, heads, kvHeads, Columns.of(q), Columns.of(k), Columns.of(v));
    }

    /**
     * Attention with the usual scale.
     *
     * @param heads of queries
     * @param kvHeads of keys and values; divides heads: query head h has those of {@code h / (heads / kvHeads)}
     * @param q {@code (batch, length, heads * headDim)}; q, k and v may be columns of one tensor
     * @param k {@code (batch, length, kvHeads * headDim)}
     * @param v likewise
     */
    public static PartialAttention apply(
            Tape tape, Visible visible, int heads, int kvHeads, Columns q, Columns k, Columns v) {
        if (k.shape().length != 3 || k.shape()[1] != q.shape()[1]) {
            throw unfit(heads, kvHeads, q, k, v);
        }
        return run(tape, visible, 0, heads, kvHeads, q, k, v);
    }

    /**
     * As {@link #apply} of queries at the positions from {@code first} on. No gradient passes.
     *
     * @param k {@code (batch, capacity, kvHeads * headDim)}, of which the first {@code first + length} rows of each sequence are
     *     the keys
     * @param v likewise
     */
    public static PartialAttention extend(
            Tape tape,
            Visible visible,
            int first,
            int heads,
            int kvHeads,
            Columns q,
            Columns k,
            Columns v) {
        tape.requireEvaluation("sparse attention");
        return run(tape, visible, first, heads, kvHeads, q, k, v);
    }

    /** As above, of whole tensors. */
    public static PartialAttention extend(
            Tape tape,
            Visible visible,
            int first,
            int heads,
            int kvHeads,
            Tensor q,
            Tensor k,
            Tensor v) {
        return extend(
                tape, visible, first, heads, kvHeads, Columns.of(q), Columns.of(k), Columns.of(v));
    }

    private static IllegalArgumentException unfit(
            int heads, int kvHeads, Columns q, Columns k, Columns v) {
        return new IllegalArgumentException(
                "sparse attention: queries %s, keys %s, values %s for %d and %d heads; expected (batch, length, heads * head_dim)"
                        .formatted(q, k, v, heads, kvHeads));
    }

    private static PartialAttention run(
            Tape tape,
            Visible visible,
            int first,
            int heads,
            int kvHeads,
            Columns q,
            Columns k,
            Columns v) {
        int[] queries = q.shape();
        int[] keys = k.shape();
        int headDim = q.count() / heads;
        if (queries.length != 3
                || keys.length != 3
                || !Arrays.equals(keys, v.shape())
                || keys[0] != queries[0]
                || first < 0
                || keys[1] - queries[1] < first
                || heads % kvHeads != 0
                || q.count() != heads * headDim
                || k.count() != kvHeads * headDim) {
            throw unfit(heads, kvHeads, q, k, v);
        }
        checkLists(visible, queries[1]);
        var kernel =
                new SparseAttentionKernel(
                        (float) (1 / Math.sqrt(headDim)),
                        queries[0],
                        heads,
                        kvHeads,
                        queries[1],
                        first,
                        headDim,
                        visible.window,
                        visible.globals,
                        visible.lists,
                        HeadLayout.rows(queries[1], q.stride(), headDim),
                        HeadLayout.rows(keys[1], k.stride(), headDim),
                        HeadLayout.rows(keys[1], v.stride(), headDim),
                        HeadLayout.dense(queries[1], heads, headDim));
        var result =
                new PartialAttention(
                        tape.allocate(queries), tape.allocate(queries[0], heads, queries[1]));
        tape.run(new SparseAttentionOperation(kernel, q, k, v, visible.blocks, result));
        return result;
    }

    private static void checkLists(Visible visible, int length) {
        Tensor blocks = visible.blocks;
        long elements = blocks == null ? 0 : blocks.size();
        if (elements != visible.lists.elements(length)
                || blocks != null && blocks.values().type() != DataType.I32) {
            throw new IllegalArgumentException(
                    "sparse attention: blocks %s do not hold %s of int32 for %d queries"
                            .formatted(blocks, visible.lists, length));
        }
    }

    @Override
    public String name() {
        return "sparse attention";
    }

    /** As if a query's keys were all different, and only those up to its position were seen. */
    @Override
    public double flops() {
        double positions = (double) kernel.first() + kernel.length();
        double most =
                Math.min(
                        positions,
                        (double) kernel.window()
                                + kernel.globals()
                                + (double) kernel.lists().slots() * kernel.lists().blockSize());
        double early = Math.clamp(most - kernel.first(), 0, kernel.length());
        double pairs =
                early * (kernel.first() + (early + 1) / 2) + (kernel.length() - early) * most;
        return 4.0 * kernel.batch() * kernel.heads() * kernel.headDim() * pairs;
    }

    @Override
    public void forward(Tape tape) {
        try (var workspace = tape.scratch(kernel.forwardWorkspaceBytes(tape.stream()))) {
            kernel.forward(
                    tape.stream(),
                    blockValues(),
                    q.values(),
                    k.values(),
                    v.values(),
                    result.o().values(),
                    result.logSumExp().values(),
                    Tape.Scratch.of(workspace));
        }
    }

    private @Nullable DeviceBuffer blockValues() {
        return blocks == null ? null : blocks.values();
    }

    @Override
    public void backward(Tape tape) {
        var gradients = new Columns.Gradients(tape, q, k, v);
        try (var dO = new OutputGradient(tape, result.o());
                var workspace = tape.scratch(kernel.backwardWorkspaceBytes(tape.stream()))) {
            kernel.backward(
                    tape.stream(),
                    blockValues(),
                    q.values(),
                    k.values(),
                    v.values(),
                    result.o().values(),
                    result.logSumExp().values(),
                    dO.buffer(),
                    result.logSumExp().gradient(),
                    gradients.required(0),
                    gradients.required(1),
                    gradients.required(2),
                    Tape.Scratch.of(workspace));
        }
        gradients.give();
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
