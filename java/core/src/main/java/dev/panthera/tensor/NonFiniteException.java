package dev.panthera.tensor;

/** An operation produced NaN or infinity. */
public final class NonFiniteException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    NonFiniteException(String operation, int index, String pass, long count, String outputs) {
        super(
                "operation "
                        + index
                        + " ("
                        + operation
                        + "), "
                        + pass
                        + ": "
                        + count
                        + " values are NaN or infinite; it computes "
                        + outputs);
    }
}
