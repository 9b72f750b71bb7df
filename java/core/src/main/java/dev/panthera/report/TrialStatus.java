package dev.panthera.report;

import java.util.Locale;

/** How far a trial has come. */
public enum TrialStatus {
    WAITING,
    RUNNING,
    DONE,
    FAILED;

    /** As readers see it. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
