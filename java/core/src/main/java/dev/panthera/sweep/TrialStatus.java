package dev.panthera.sweep;

import java.util.Locale;

/** Where a trial stands. */
public enum TrialStatus {
    /** Nobody works on it; it may have a checkpoint. */
    WAITING,
    /** Someone works on it, and says so from time to time. */
    RUNNING,
    /** It has its result. */
    DONE,
    /** It ended with an error, which is kept. */
    FAILED;

    /** As people write it. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
