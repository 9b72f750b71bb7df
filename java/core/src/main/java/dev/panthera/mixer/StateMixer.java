package dev.panthera.mixer;

import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** What comes after the sequence mixer: it transforms each position by itself, or with a few before it. */
public interface StateMixer extends Parameterized {

    /** Maps {@code (batch, length, channels)} to the same shape. */
    Tensor forward(Tape tape, Tensor x);

    /** Whether an output depends on the input of its position alone, so that rows which nobody needs can be left out. */
    default boolean isPerPosition() {
        return true;
    }

    /**
     * {@link #forward} of the positions after those that {@code state} has seen; see {@link Mixer#extend}. A state mixer that
     * looks at no other position keeps nothing.
     */
    default Tensor extend(Tape tape, Tensor x, DecodeState state) {
        return forward(tape, x);
    }

    /** How many numbers of a sequence {@link #extend} keeps after {@code length} tokens. */
    default long stateSize(int length) {
        return 0;
    }
}
