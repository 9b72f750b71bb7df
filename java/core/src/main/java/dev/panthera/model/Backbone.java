package dev.panthera.model;

import dev.panthera.mixer.DecodeState;
import dev.panthera.mixer.Layer;
import dev.panthera.nn.Dropout;
import dev.panthera.nn.Init;
import dev.panthera.nn.Norm;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/** Embeddings, blocks and the final norm: token ids to hidden vectors. */
public record Backbone(
        Embeddings embeddings,
        List<Block> layers,
        @StateName("ln_f") Norm finalNorm,
        Dropout finalDropout)
        implements Parameterized {
    private static final int BYTES_PER_NUMBER = 4;

    static Backbone of(ModelConfig config, Init init) {
        var embeddings = Embeddings.of(config, init);
        List<Block> blocks = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            var layer = new Layer(i, config.layers(), config.width(), config.length());
            blocks.add(Block.of(config, layer, init));
        }
        var end = new Layer(config.layers(), config.layers(), config.width(), config.length());
        return new Backbone(
                embeddings,
                List.copyOf(blocks),
                Norm.layer(config.width(), config.normEpsilon(), init),
                new Dropout((float) config.residualDropout(), 0, end.dropoutKey(0)));
    }

    /**
     * @param ids int32 {@code (batch, length)}
     * @return {@code (batch, length, channels)}
     */
    public Tensor forward(Tape tape, Tensor ids) {
        return run(tape, new Block.State(embeddings.forward(tape, ids), null, ids), null);
    }

    /**
     * The rows of {@link #forward(Tape, Tensor)} that are needed, at less work: in the last block, what follows the sequence
     * mixer touches no other row. Dropout is the same as without this.
     *
     * @param neededRows int32 {@code (1, count)}, positions counted over the batch
     * @return {@code (1, count, channels)}
     */
    public Tensor forward(Tape tape, Tensor ids, Tensor neededRows) {
        return needed(tape, new Block.State(embeddings.forward(tape, ids), null, ids), neededRows);
    }

    /** {@link #forward(Tape, Tensor)} without the embeddings: vectors {@code (batch, length, channels)} to the same shape. */
    public Tensor transform(Tape tape, Tensor x) {
        return run(tape, new Block.State(x, null, null), null);
    }

    /** The rows of {@link #transform(Tape, Tensor)} that are needed, as in {@link #forward(Tape, Tensor, Tensor)}. */
    public Tensor transform(Tape tape, Tensor x, Tensor neededRows) {
        return needed(tape, new Block.State(x, null, null), neededRows);
    }

    private Tensor needed(Tape tape, Block.State state, Tensor neededRows) {
        if (finalDropout.probability() == 0) {
            return run(tape, state, neededRows);
        }
        return GatherRowsOperation.apply(tape, run(tape, state, null), neededRows);
    }

    /** As {@link SequenceModel#stateBytes}. */
    long stateBytes(int length) {
        return bytes(block -> block.stateSize(length));
    }

    /** As {@link SequenceModel#publishedStateBytes}. */
    long publishedStateBytes(int length) {
        return bytes(block -> block.sequenceMixer().publishedStateSize(length));
    }

    private long bytes(ToLongFunction<Block> numbers) {
        return BYTES_PER_NUMBER * layers.stream().mapToLong(numbers).sum();
    }

    private Tensor run(Tape tape, Block.State first, @Nullable Tensor neededRows) {
        var state = first;
        for (Block block : layers) {
            state = block.forward(tape, state, block == layers.getLast() ? neededRows : null);
        }
        return finalNorm
                .addAndApply(tape, finalDropout.apply(tape, state.hidden()), state.residual())
                .normalised();
    }

    /**
     * {@link #forward(Tape, Tensor)} of the positions after those that {@code kept} has seen, which includes them afterwards.
     *
     * @param ids int32 {@code (batch, count)}
     * @return {@code (batch, count, channels)}
     */
    public Tensor extend(Tape tape, Tensor ids, DecodeState kept) {
        Tensor embedded = embeddings.forward(tape, ids, kept.position());
        var state = new Block.State(embedded, null, ids);
        for (int i = 0; i < layers.size(); i++) {
            state = layers.get(i).extend(tape, state, kept.part("layers." + i));
        }
        kept.advance(ids.size(1));
        return finalNorm.addAndApply(tape, state.hidden(), state.residual()).normalised();
    }
}
