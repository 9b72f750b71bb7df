package dev.panthera.mixer;

import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** A sequence mixer: what lets a position see earlier ones. A record, so that its parameters are found. */
public interface Mixer extends Parameterized {

    /**
     * Maps {@code (batch, length, channels)} to the same shape. Output t depends on inputs up to t only; where a long
     * convolution is computed by FFT, up to rounding.
     */
    Tensor forward(Tape tape, Tensor x);

    /** How many numbers must be kept to go on generating after {@code length} tokens. */
    long stateSize(int length);
}
