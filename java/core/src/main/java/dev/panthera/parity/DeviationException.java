package dev.panthera.parity;

/** A case records a bug of the original that has no "as published" switch here. */
final class DeviationException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    DeviationException(String reason) {
        super(reason);
    }
}
