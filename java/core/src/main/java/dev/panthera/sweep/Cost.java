package dev.panthera.sweep;

/**
 * What a trial costs.
 *
 * @param parameters trainable
 * @param stateBytes of the model's recurrent state for the longest test rows, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}
 * @param bytes of memory while it runs, without the rows and the JVM
 * @param stepSeconds of a training step
 * @param epochSeconds of an epoch, with the evaluation of the split that decides
 * @param seconds of all epochs and the last evaluation; less if the trial stops early
 */
public record Cost(
        long parameters,
        long stateBytes,
        long bytes,
        double stepSeconds,
        double epochSeconds,
        double seconds) {}
