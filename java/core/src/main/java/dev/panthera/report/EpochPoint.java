package dev.panthera.report;

import org.jspecify.annotations.Nullable;

/**
 * What was measured in an epoch.
 *
 * @param epoch counted from 1
 * @param trainLoss mean over the epoch's steps, in nats; null where it was not finite
 * @param validationLoss in nats
 * @param validationAccuracy between 0 and 1
 * @param tokensPerSecond of training alone
 * @param seconds since the trial started
 */
public record EpochPoint(
        int epoch,
        @Nullable Double trainLoss,
        @Nullable Double validationLoss,
        @Nullable Double validationAccuracy,
        double tokensPerSecond,
        double seconds) {
    public EpochPoint {
        trainLoss = Statistics.finiteOrNull(trainLoss);
        validationLoss = Statistics.finiteOrNull(validationLoss);
        validationAccuracy = Statistics.finiteOrNull(validationAccuracy);
    }
}
