package dev.panthera.sweep;

import dev.panthera.train.EpochReport;
import dev.panthera.train.RunInfo;
import dev.panthera.train.StepReport;

/** Follows a sweep; called from the threads that carry trials out. */
public interface SweepListener {

    /** Hears nothing. */
    SweepListener SILENT = new SweepListener() {};

    /**
     * The sweep begins.
     *
     * @param waiting trials that wait
     * @param work of all of them, as {@link CostModel#work} counts it
     */
    default void left(int waiting, double work) {}

    default void taken(Trial trial) {}

    default void started(Trial trial, RunInfo info) {}

    default void stepped(Trial trial, StepReport report) {}

    default void epochEnded(Trial trial, EpochReport report) {}

    /** @param ours false if another process has carried the trial out meanwhile */
    default void finished(Trial trial, TrialOutcome outcome, boolean ours) {}
}
