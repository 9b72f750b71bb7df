package dev.panthera.sweep;

import dev.panthera.train.Evaluation;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A trial as its sweep's store knows it.
 *
 * @param id of the trial
 * @param ordinal place in the sweep, from 0
 * @param factors label of its level by name of the factor
 * @param config as {@link dev.panthera.train.ConfigFile#toJsonLine} writes it
 * @param status where it stands
 * @param attempts how often it was taken
 * @param epochs that are finished
 * @param validationAccuracy of the last finished epoch, on the split that decides; null before the first
 * @param test evaluation on the test split; null unless it is done
 * @param parameters trainable; 0 before it has begun
 * @param stateBytes of the model's recurrent state for the longest test rows, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}
 * @param seconds of all finished epochs
 * @param tokensPerSecond trained tokens a second, mean over the epochs; 0 before the first
 * @param device where it ran last
 * @param message what went wrong; null unless it failed
 * @param stack where it went wrong; null unless it failed
 */
public record StoredTrial(
        String id,
        int ordinal,
        Map<String, String> factors,
        String config,
        TrialStatus status,
        int attempts,
        int epochs,
        @Nullable Double validationAccuracy,
        @Nullable Evaluation test,
        long parameters,
        long stateBytes,
        double seconds,
        double tokensPerSecond,
        @Nullable String device,
        @Nullable String message,
        @Nullable String stack) {

    private static final JsonMapper JSON = new JsonMapper();

    /** What a person reads; with a mark if the mixer looks ahead. */
    public String label() {
        return Trial.label(factors, causal());
    }

    /** Whether its mixer, and every mixer in it, looks back alone. The mixer's class need not be there any more. */
    public boolean causal() {
        return JSON.readTree(config).at("/model/mixer").findValues("causal").stream()
                .allMatch(option -> option.asBoolean(true));
    }
}
