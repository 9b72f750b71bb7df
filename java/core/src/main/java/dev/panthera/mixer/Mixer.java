package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** A sequence mixer: what lets a position see earlier ones. A record, so that its parameters are found. */
public interface Mixer extends Parameterized {

    /**
     * Maps {@code (batch, length, channels)} to the same shape. Output t depends on inputs up to t only, unless the mixer is not
     * {@link #causal}; where a long convolution is computed by FFT, up to rounding.
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
     * evaluation: no gradient passes. Of a mixer that is not causal a {@link UserException}.
     *
     * <p>Without more, a mixer keeps all its inputs and computes all positions again. It overrides this to keep less, and to do
     * less for each token.
     */
    default Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        int count = x.size(1);
        Tensor inputs = state.history("inputs", x);
        Tensor seen = Rows.of(tape, inputs, 0, state.position() + count);
        return Rows.last(tape, forward(tape, seen), count);
    }

    /**
     * This mixer for one call in which it may look at the tokens themselves. Most do not, and are the same. The others must be
     * asked for this before each {@link #forward}, {@link #forwardRows} and {@link #extend}, of the same positions.
     *
     * @param ids int32 {@code (batch, length)}
     */
    default Mixer withTokens(Tensor ids) {
        return this;
    }

    /** Whether output t depends on inputs up to t only; as its configuration says. */
    default boolean causal() {
        return true;
    }

    /** Fails if the mixer is not causal: what it would keep of the tokens so far changes with those to come. */
    default void requireCausal() {
        UserException.require(
                causal(),
                "the model has a mixer that looks at tokens still to come, so it cannot generate; set its option causal=true");
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
