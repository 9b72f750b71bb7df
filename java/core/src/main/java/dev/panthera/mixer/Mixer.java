package dev.panthera.mixer;

import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** A sequence mixer: what lets a position see earlier ones. A record, so that its parameters are found. */
public interface Mixer extends Parameterized {

    /**
     * Maps {@code (batch, length, channels)} to the same shape. Output t depends on inputs up to t only; where a long
     * convolution is computed by FFT, up to rounding.
     */
    Tensor forward(Tape tape, Tensor x);

    /**
     * The rows of {@link #forward} that are needed, the same as without this. A mixer overrides it to leave out what only other
     * rows need.
     *
     * @param rows int32 {@code (1, count)}, ascending: positions counted over the batch
     * @return {@code (1, count, channels)}
     */
    default Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return GatherRowsOperation.apply(tape, forward(tape, x), rows);
    }

    /**
     * Goes on after the tokens that {@code state} has seen: {@code (batch, count, channels)} of the next positions to the same
     * shape, equal to what {@link #forward} gives at these positions of the whole sequences. {@code count} may be 1, or that of
     * a whole prompt. Afterwards the state includes these tokens; the caller {@linkplain DecodeState#advance counts} them. For
     * evaluation: no gradient passes.
     *
     * <p>Without more, a mixer keeps all its inputs and computes all positions again. It overrides this to keep less, and to do
     * less for each token.
     */
    default Tensor extend(Tape tape, Tensor x, DecodeState state) {
        int count = x.size(1);
        Tensor inputs = state.history("inputs", x);
        Tensor seen = Rows.of(tape, inputs, 0, state.position() + count);
        return Rows.last(tape, forward(tape, seen), count);
    }

    /**
     * How many numbers of a sequence are kept to go on generating after {@code length} tokens: what {@link #extend} keeps in a
     * state of that capacity, where it is overridden.
     */
    long stateSize(int length);

    /**
     * {@link #stateSize} as the figures of the original count it, where that leaves something out or counts something that is
     * not kept.
     */
    default long publishedStateSize(int length) {
        return stateSize(length);
    }
}
