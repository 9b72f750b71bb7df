package dev.panthera.mixer;

import dev.panthera.tensor.BlockTopKOperation;
import dev.panthera.tensor.BlockTopKOperation.Wanted;
import dev.panthera.tensor.BroadcastOperation;
import dev.panthera.tensor.PartialAttention;
import dev.panthera.tensor.PooledAttentionOperation;
import dev.panthera.tensor.PooledAttentionOperation.Blocks;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SparseAttentionOperation;
import dev.panthera.tensor.SparseAttentionOperation.Visible;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * The three attentions of {@link NativeSparseAttention}: over compressed blocks, selected blocks and the last positions.
 *
 * @param headDim channels of a head
 */
record NativeSparseBranches(NativeSparseAttention.Config config, int headDim) {

    /** Of all weights of blocks: what has less is not worth being seen. */
    private static final float LEAST_WEIGHT = 1e-10f;

    /**
     * What queries look at.
     *
     * @param first position of the first query
     * @param cache whether the tensors may have room for more rows than there are
     * @param keys rotated, {@code (batch, positions, keyWidth)}
     * @param values likewise
     * @param blockKeys the learned ones and those of blocks, {@code (batch, memories + blocks, keyWidth)}
     * @param blockValues likewise
     */
    record Seen(
            int first,
            boolean cache,
            Tensor keys,
            Tensor values,
            Tensor blockKeys,
            Tensor blockValues) {

        Seen with(UnaryOperator<Tensor> change) {
            return new Seen(
                    first,
                    cache,
                    change.apply(keys),
                    change.apply(values),
                    change.apply(blockKeys),
                    blockValues);
        }
    }

    /** What they give, each of the shape of the queries {@code (batch, length, width)}, which are not rotated. */
    List<Tensor> apply(Tape tape, Tensor queries, Seen seen) {
        Tensor rotated = NativeSparseAttention.rotated(tape, queries, config.heads(), seen.first);
        return List.of(
                compressed(tape, queries, seen),
                selected(tape, queries, rotated, seen),
                sliding(tape, rotated, seen));
    }

    private Tensor compressed(Tape tape, Tensor queries, Seen seen) {
        var blocks = Blocks.all(config.memories(), config.blockSize(), 0);
        int heads = config.heads();
        int keyHeads = config.keyHeadCount();
        Tensor keys = seen.blockKeys;
        Tensor values = seen.blockValues;
        PartialAttention attended =
                seen.cache
                        ? PooledAttentionOperation.extend(
                                tape, blocks, seen.first, heads, keyHeads, queries, keys, values)
                        : PooledAttentionOperation.apply(
                                tape, blocks, heads, keyHeads, queries, keys, values);
        return attended.o();
    }

    private Tensor selected(Tape tape, Tensor queries, Tensor rotated, Seen seen) {
        int keyHeads = config.keyHeadCount();
        if (config.selectedBlocks() == 0) {
            var all = Visible.window(seen.first + queries.size(1));
            return sparse(tape, all, keyHeads, rotated, seen);
        }
        Seen choices = seen;
        if (!config.sharedSelection() && keyHeads < config.heads()) {
            keyHeads = config.heads();
            choices = seen.with(x -> forEachHead(tape, x));
        }
        var wanted = new Wanted(config.selectedBlocks(), config.blockSize(), LEAST_WEIGHT, true);
        var listed =
                BlockTopKOperation.extend(
                        tape,
                        wanted,
                        seen.first,
                        config.heads(),
                        keyHeads,
                        queries,
                        choices.blockKeys,
                        config.memories());
        var visible = Visible.listed(listed.lists(), listed.blocks());
        return sparse(tape, visible, keyHeads, rotated, choices);
    }

    /** Of keys or values: as if each query head had its own. */
    private Tensor forEachHead(Tape tape, Tensor x) {
        int keyHeads = config.keyHeadCount();
        int group = config.heads() / keyHeads;
        Tensor one = ReshapeOperation.apply(tape, x, x.size(0), x.size(1), keyHeads, 1, headDim);
        Tensor each =
                BroadcastOperation.apply(tape, one, x.size(0), x.size(1), keyHeads, group, headDim);
        return ReshapeOperation.apply(tape, each, x.size(0), x.size(1), config.heads() * headDim);
    }

    private Tensor sliding(Tape tape, Tensor rotated, Seen seen) {
        int keyHeads = config.keyHeadCount();
        if (config.causal()) {
            return sparse(tape, Visible.window(config.window()), keyHeads, rotated, seen);
        }
        return new NeighbourAttention(config.heads(), keyHeads, config.window() - 1)
                .apply(tape, rotated, seen.keys, seen.values);
    }

    private Tensor sparse(Tape tape, Visible visible, int keyHeads, Tensor queries, Seen seen) {
        int heads = config.heads();
        Tensor keys = seen.keys;
        Tensor values = seen.values;
        PartialAttention attended =
                seen.cache
                        ? SparseAttentionOperation.extend(
                                tape, visible, seen.first, heads, keyHeads, queries, keys, values)
                        : SparseAttentionOperation.apply(
                                tape, visible, heads, keyHeads, queries, keys, values);
        return attended.o();
    }
}
