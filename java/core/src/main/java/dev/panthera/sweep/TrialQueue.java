package dev.panthera.sweep;

import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;
import java.util.Optional;

/** The trials of a sweep that are still to be done, for an engine. All methods may be called from any thread. */
public interface TrialQueue {

    /** Takes the next trial, which nobody else gets until it is finished or given up; empty if there is none. */
    Optional<TrialOrder> take();

    /** How many trials are left to take. */
    int waiting();

    /** A trial has begun, or goes on after it was lost or interrupted. */
    void started(String id, RunInfo info);

    /** A trial has made a step; cheap, to be called for each. */
    void stepped(String id, StepReport report);

    /** A trial has finished an epoch; said twice of one epoch, the second counts. */
    void epochEnded(String id, EpochReport report);

    /** A trial is over, or was interrupted; nobody works on it any more. */
    void finished(TrialOutcome outcome);
}
