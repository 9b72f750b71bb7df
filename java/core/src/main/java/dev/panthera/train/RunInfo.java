package dev.panthera.train;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Facts of a run that are known before its first step.
 *
 * @param device where it computes, for example {@code cpu:avx512, threads: 2}, and why not on CUDA if that was wished for
 * @param parameters trainable, tied ones counted once
 * @param stateBytes of the model's recurrent state for the longest test rows
 * @param stepsPerEpoch training steps
 * @param folder of the run, null if nothing is written
 * @param resumedEpoch epochs that a resumed run had finished, 0 for a new one
 */
public record RunInfo(
        String device,
        long parameters,
        long stateBytes,
        int stepsPerEpoch,
        @Nullable Path folder,
        int resumedEpoch) {}
