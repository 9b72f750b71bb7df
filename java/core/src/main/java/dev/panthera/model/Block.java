package dev.panthera.model;

import dev.panthera.mixer.DecodeState;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.nn.Init;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One layer of a backbone: a sequence mixer and what is around it. From block to block goes a pair of the last branch's output
 * and the residual stream before its addition.
 */
public sealed interface Block extends Parameterized permits TransformerBlock, MambaBlock {

    /**
     * What blocks pass on: the pair, and the tokens for mixers that look at them.
     *
     * @param residual null in front of the first block
     * @param ids int32 {@code (batch, length)}, of all positions even where the pair has the needed ones; null in a model of vectors
     */
    record State(Tensor hidden, @Nullable Tensor residual, @Nullable Tensor ids) {

        /** A pair behind this one. */
        State next(Tensor newHidden, Tensor newResidual) {
            return new State(newHidden, newResidual, ids);
        }

        /** The mixer with the tokens, if there are any. */
        Mixer with(Mixer mixer) {
            return ids == null ? mixer : mixer.withTokens(ids);
        }
    }

    /** The block that a model has at that layer. */
    static Block of(ModelConfig config, Layer layer, Init init) {
        return switch (config.block()) {
            case TRANSFORMER -> TransformerBlock.of(config, layer, init);
            case MAMBA -> MambaBlock.of(config, layer, init);
            case AUTO -> throw new IllegalStateException("a model's configuration names its block");
        };
    }

    Mixer sequenceMixer();

    /** Applies the block to what the one before passed on; all tensors are {@code (batch, length, channels)}. */
    default State forward(Tape tape, State state) {
        return forward(tape, state, null);
    }

    /**
     * As {@link #forward(Tape, State)}, where not all positions of the result are used.
     *
     * @param neededRows int32 {@code (1, count)}: the only positions, counted over the batch, that are used further on;
     *     then what follows the sequence mixer is computed for them alone, and the result is {@code (1, count, channels)}.
     *     Null: all are used.
     */
    State forward(Tape tape, State state, @Nullable Tensor neededRows);

    /** Applies the block to the positions after those that {@code kept} has seen; see {@link Mixer#extend}. */
    State extend(Tape tape, State state, DecodeState kept);

    /** How many numbers of a sequence are kept to go on after {@code length} tokens. */
    long stateSize(int length);
}
