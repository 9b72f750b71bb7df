package dev.panthera.train;

/**
 * What an epoch came to.
 *
 * @param epoch from 1
 * @param trainLoss mean over the epoch's steps
 * @param learningRate of the epoch
 * @param deciding evaluation on the split that decides about stopping
 * @param tokensPerSecond trained tokens, time of the evaluation not counted
 * @param seconds of the epoch, evaluation included
 */
public record EpochReport(
        int epoch,
        double trainLoss,
        double learningRate,
        Evaluation deciding,
        double tokensPerSecond,
        double seconds) {}
