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

    /** How many numbers must be kept to go on generating after {@code length} tokens. */
    long stateSize(int length);
}
