package dev.panthera.train;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Facts of a run that are known before its first step.
 *
 * @param device where it computes, for example {@code cpu:avx512, threads: 2}, and why not on CUDA if that was wished for
 * @param parameters trainable, tied ones counted once
 * @param stateBytes of the model's recurrent state for the longest test rows, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}
 * @param stepsPerEpoch training steps
 * @param folder of the run, null if nothing is written
 * @param history epochs that a resumed run had finished, none for a new one
 */
public record RunInfo(
        String device,
        long parameters,
        long stateBytes,
        int stepsPerEpoch,
        @Nullable Path folder,
        List<EpochReport> history) {

    public RunInfo {
        history = List.copyOf(history);
    }
}
