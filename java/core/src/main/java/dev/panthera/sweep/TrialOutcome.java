package dev.panthera.sweep;

import dev.panthera.train.ConfigFile;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import dev.panthera.train.TrainResult;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a trial came to, as a value that goes to JSON and comes back equal.
 *
 * @param id of the trial
 * @param status {@link TrialStatus#DONE}, {@link TrialStatus#FAILED}, or {@link TrialStatus#WAITING} if it was interrupted
 * @param device where it ran
 * @param ending why the run ended; null if it failed
 * @param test evaluation on the test split; null unless it is done
 * @param epochs every finished epoch, those before a resumption included
 * @param parameters trainable
 * @param stateBytes of the model's recurrent state for the longest test rows, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}
 * @param seconds of all finished epochs and of the last evaluation
 * @param message what went wrong, on one line; null unless it failed
 * @param stack where it went wrong; null unless it failed
 */
public record TrialOutcome(
        String id,
        TrialStatus status,
        @Nullable String device,
        TrainResult.@Nullable Ending ending,
        @Nullable Evaluation test,
        List<EpochReport> epochs,
        long parameters,
        long stateBytes,
        double seconds,
        @Nullable String message,
        @Nullable String stack) {

    public TrialOutcome {
        epochs = List.copyOf(epochs);
    }

    /** As one line of JSON. */
    public String toJson() {
        return ConfigFile.toJsonLine(this);
    }

    /**
     * Reads what {@link #toJson} wrote.
     *
     * @throws dev.panthera.UserException if it is no such outcome
     */
    public static TrialOutcome fromJson(String json) {
        return ConfigFile.fromJson(json, TrialOutcome.class);
    }

    /** A trial that failed before it could report anything. */
    public static TrialOutcome failed(String id, Throwable cause) {
        return Failure.of(id, null, List.of(), cause);
    }

    /** A trial that was given up without a result; it can be taken again. */
    public static TrialOutcome waiting(String id) {
        return new TrialOutcome(
                id, TrialStatus.WAITING, null, null, null, List.of(), 0, 0, 0, null, null);
    }
}
