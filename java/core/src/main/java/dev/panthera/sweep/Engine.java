package dev.panthera.sweep;

import java.util.function.BooleanSupplier;

/** Carries trials out, on this machine or on others. */
public interface Engine {

    /**
     * Takes trials from the queue until it is empty, carries them out, and reports each. Returns when nothing runs any more.
     *
     * @param stopRequested once true, no trial is taken any more, running ones are interrupted with a checkpoint where they
     *     have a folder, and reported as {@link TrialStatus#WAITING}
     * @throws dev.panthera.UserException if the engine cannot work at all; trials that it had taken are given back
     */
    void run(TrialQueue queue, BooleanSupplier stopRequested);

    /** Where and how it works, for a person: one line. */
    String description();
}
