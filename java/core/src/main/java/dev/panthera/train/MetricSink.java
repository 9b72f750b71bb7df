package dev.panthera.train;

import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Where a run's metrics go as they arise: a file, a board, a server. A run calls {@link #started} once, then
 * {@link #metrics} for each line, at last {@link #ended}, all from one thread. Before {@code started} a sink holds
 * nothing that must be given back, so that a run which cannot start leaves nothing behind.
 *
 * <p>An exception ends the run, so a sink throws only if the run is worth nothing without it: a sink that writes where
 * the user wants a file throws {@link dev.panthera.UserException}, one that talks to a server never throws.
 */
public interface MetricSink {

    /**
     * The run starts, anew or from a checkpoint.
     *
     * @param config the configuration as in the run's {@code config.json}
     * @param steps training steps that lie behind the run, 0 if it is new; what an earlier process has sent about later
     *     steps is superseded by what follows
     */
    void started(String config, long steps);

    /**
     * One line of metrics. After each training step {@code epoch} and {@code train/loss}; after each epoch
     * {@code epoch}, {@code learning_rate}, {@code train/loss_mean}, {@code valid/loss}, {@code valid/accuracy}, {@code
     * valid/<slice>/accuracy-<value>}, {@code tokens_per_second} and {@code seconds}; at the end {@code test/...} as
     * for {@code valid}. Losses are in nats, accuracies in [0, 1].
     *
     * @param step training steps so far
     * @param values by name, in the order in which they are written; the sink may keep the map
     */
    void metrics(long step, SequencedMap<String, Number> values);

    /** Everything so far is to outlast a kill of the process: a checkpoint follows. */
    default void flush() {}

    /**
     * The run has ended; nothing follows.
     *
     * @param ending why, null if an exception ended it
     */
    void ended(TrainResult.@Nullable Ending ending);
}
