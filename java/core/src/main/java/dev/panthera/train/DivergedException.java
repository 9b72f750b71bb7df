package dev.panthera.train;

/** Training came to NaN or infinity; the message names the step and the first operation. */
public final class DivergedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    DivergedException(String message) {
        super(message);
    }
}
