package dev.panthera;

import java.util.Locale;

/**
 * An error that the user can cause and mend. Its message has three parts on one line: what was wrong, what is possible,
 * what to do. The command line prints {@code panthera: <message>} without a stack trace and exits with code 2.
 */
public class UserException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    public UserException(String message) {
        super(message);
    }

    public UserException(String message, Throwable cause) {
        super(message, cause);
    }

    /**
     * Throws unless {@code condition} holds.
     *
     * @param format message, as of {@link String#format}; formatted only on failure
     */
    public static void require(boolean condition, String format, Object... arguments) {
        if (!condition) {
            throw new UserException(String.format(Locale.ROOT, format, arguments));
        }
    }
}
