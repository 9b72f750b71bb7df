package dev.panthera.compare;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How well a mixer did on the task, with the learning rate that did best on the split that decides.
 *
 * @param mixer what a person calls it
 * @param testAccuracy of the chosen trial; null if no trial of the mixer came to an end
 * @param decidingAccuracy of the chosen trial's last epoch, on the split that chose; null likewise
 * @param learningRate of the chosen trial; 0 if there is none
 * @param epochs of the chosen trial
 * @param parameters trainable
 * @param stateBytes of the model's recurrent state after a row of the task, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}
 * @param seconds that the chosen trial took, beside others
 * @param failures of the mixer's trials, each with its learning rate; those of a chosen mixer too
 */
public record MixerResult(
        String mixer,
        @Nullable Double testAccuracy,
        @Nullable Double decidingAccuracy,
        double learningRate,
        int epochs,
        long parameters,
        long stateBytes,
        double seconds,
        List<String> failures) {
    public MixerResult {
        failures = List.copyOf(failures);
    }
}
