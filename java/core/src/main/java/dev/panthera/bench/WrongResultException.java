package dev.panthera.bench;

/** What was to be timed computes something else than the reference. */
public final class WrongResultException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    WrongResultException(String message) {
        super(message);
    }
}
