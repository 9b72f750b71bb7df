package dev.panthera.mixer;

import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** What transforms each position by itself, after the sequence mixer. */
public interface StateMixer extends Parameterized {

    /** Maps {@code (batch, length, channels)} to the same shape. */
    Tensor forward(Tape tape, Tensor x);

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
