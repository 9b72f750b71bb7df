package dev.panthera.parity;

/** A case needs a class, an option or a kernel that is not there. */
final class UnknownCaseException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    UnknownCaseException(String reason) {
        super(reason);
    }
}
