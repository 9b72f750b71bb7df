package dev.panthera.train;

/**
 * Where a run stands after a training step.
 *
 * @param epoch from 1
 * @param batch of the epoch, from 1
 * @param batches of the epoch
 * @param loss of the step
 * @param tokensPerSecond trained tokens of this epoch so far
 * @param secondsLeft of this epoch's training, estimated
 */
public record StepReport(
        int epoch,
        int batch,
        int batches,
        double loss,
        double tokensPerSecond,
        double secondsLeft) {}
