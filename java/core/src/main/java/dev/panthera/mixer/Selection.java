package dev.panthera.mixer;

import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * What decides which positions {@link SelectedAttention} lets attend, and how much of their outputs passes: a score of each position,
 * and a gate that follows from the scores. A record, so that its parameters are found.
 */
public interface Selection extends Parameterized {

    /**
     * How soon positions are chosen, the largest first, negative infinity never. The score of a position depends on nothing behind
     * it.
     *
     * @param x {@code (batch, length, channels)}, what the mixer gets
     * @return {@code (batch, length, 1)}; null: all positions are alike, none is left out
     */
    @Nullable Tensor scores(Tape tape, Tensor x);

    /** {@link #scores} of the positions behind those that {@code state} has seen, which afterwards includes them. */
    default @Nullable Tensor extendScores(Tape tape, Tensor x, DecodeState state) {
        return scores(tape, x);
    }

    /** How many numbers of a sequence {@link #extendScores} keeps in a state of that capacity. */
    default long stateSize(int length) {
        return 0;
    }

    /**
     * What the outputs of chosen positions are multiplied by; null: 1. That of a position may depend on the scores of earlier ones.
     *
     * @param scores of all positions so far, {@code (batch, length, 1)}
     */
    default @Nullable Tensor gate(Tape tape, Tensor scores) {
        return null;
    }

    /**
     * What positions are compared by, where that is not the score itself: as large where that is larger, but without differences
     * that rounding may have made.
     */
    default Tensor ranks(Tape tape, Tensor scores) {
        return scores;
    }

    /** Whether only chosen positions attend when training too, and not all of them, each by its gate. */
    default boolean choosesInTraining() {
        return true;
    }

    /** Whether scores compete for few places; else every position with a score above negative infinity is chosen. */
    default boolean competes() {
        return true;
    }

    /** By what the share of the gates' mean that exceeds the share of places is multiplied and added to the loss; 0: nothing is. */
    default double penalty() {
        return 0;
    }

    /**
     * This selection for one call in which it may look at the tokens; see {@link Mixer#withTokens}.
     *
     * @param ids int32 {@code (batch, length)}
     */
    default Selection withTokens(Tensor ids) {
        return this;
    }
}
