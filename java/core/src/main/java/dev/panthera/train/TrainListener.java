package dev.panthera.train;

/** Follows a run; called on the training thread. */
public interface TrainListener {

    /** Hears nothing. */
    TrainListener SILENT = new TrainListener() {};

    default void started(RunInfo info) {}

    default void stepped(StepReport report) {}

    default void epochEnded(EpochReport report) {}
}
