package dev.panthera.compare;

import org.jspecify.annotations.Nullable;

/**
 * What training steps of a mixer cost at one length.
 *
 * @param length tokens of a row
 * @param rows of the batch
 * @param medianSeconds of a step: forward, loss, backward and optimizer; 0 if it failed
 * @param lowSeconds a quarter of the steps took no longer
 * @param highSeconds a quarter of the steps took at least as long
 * @param deviceBytes that the device had given out: parameters, their gradients, the optimizer's state and the step's own memory;
 *     without the JVM
 * @param stateBytes of the model's recurrent state per row after so many tokens, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}
 * @param failure why there are no numbers; null if there are
 */
public record StepCost(
        String mixer,
        int length,
        int rows,
        double medianSeconds,
        double lowSeconds,
        double highSeconds,
        long deviceBytes,
        long stateBytes,
        @Nullable String failure) {

    static StepCost failed(String mixer, int length, int rows, String why) {
        return new StepCost(mixer, length, rows, 0, 0, 0, 0, 0, why);
    }

    /** Whether there are numbers. */
    public boolean measured() {
        return failure == null;
    }

    /** Trained tokens a second. */
    public double tokensPerSecond() {
        return medianSeconds > 0 ? rows * (double) length / medianSeconds : 0;
    }
}
