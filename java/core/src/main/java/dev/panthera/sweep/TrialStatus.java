package dev.panthera.sweep;

/** Where a trial stands. */
public enum TrialStatus {
    /** Nobody works on it; it may have a checkpoint. */
    WAITING,
    /** Someone works on it, and says so from time to time. */
    RUNNING,
    /** It has its result. */
    DONE,
    /** It ended with an error, which is kept. */
    FAILED
}
