package dev.panthera.train;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a run ended.
 *
 * @param test evaluation on the test split; null if the run was interrupted before its end
 * @param history the finished epochs, those before a resumption included
 * @param parameters trainable, tied ones counted once
 * @param stateBytes of the model's recurrent state for the longest test rows, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}
 * @param ending why it ended
 * @param seconds of this run, not counting what a resumed one had run before
 * @param checkpoint last one written, null if nothing is written
 */
public record TrainResult(
        @Nullable Evaluation test,
        List<EpochReport> history,
        long parameters,
        long stateBytes,
        Ending ending,
        double seconds,
        @Nullable Path checkpoint) {

    public TrainResult {
        history = List.copyOf(history);
    }

    /** Number of finished epochs. */
    public int epochs() {
        return history.size();
    }

    /** Seconds of all finished epochs, those before a resumption included. */
    public double totalSeconds() {
        return history.stream().mapToDouble(EpochReport::seconds).sum();
    }

    /** Why a run ended. */
    public enum Ending {
        /** The accuracy of the deciding split passed {@link TrainConfig#stopAbove()}. */
        STOPPED_EARLY,
        /** All epochs were run. */
        ALL_EPOCHS,
        /** It was asked to stop; the checkpoint resumes it. */
        INTERRUPTED
    }
}
