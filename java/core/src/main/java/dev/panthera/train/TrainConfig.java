package dev.panthera.train;

import dev.panthera.UserException;
import dev.panthera.model.Loss;

/**
 * Everything that decides a run's result. Two runs of equal configurations give bitwise equal results on one CPU.
 *
 * @param model what is trained
 * @param data what it is trained and judged on
 * @param loss what training minimises
 * @param epochs most passes over the training data; also the period of the learning rate's cosine
 * @param learningRate at the first epoch; falls as {@link CosineSchedule}
 * @param weightDecay decoupled, on all parameters
 * @param stopAbove the run ends after an epoch whose accuracy on the deciding split is greater; from 1 on: never
 * @param protocol which split decides about stopping and selection
 * @param seed of the model's initial values and of dropout; the data have their own
 */
public record TrainConfig(
        ModelOptions model,
        DataOptions data,
        Loss loss,
        int epochs,
        double learningRate,
        double weightDecay,
        double stopAbove,
        Protocol protocol,
        long seed) {

    /** The same with another model. */
    TrainConfig withModel(ModelOptions newModel) {
        return new TrainConfig(
                newModel, data, loss, epochs, learningRate, weightDecay, stopAbove, protocol, seed);
    }

    public TrainConfig {
        UserException.require(
                epochs >= 1, "--epochs %d: at least one epoch is needed; try 32", epochs);
        UserException.require(
                learningRate > 0 && Double.isFinite(learningRate),
                "--lr %s: the learning rate must be a positive number; try 1e-3",
                learningRate);
        UserException.require(
                weightDecay >= 0 && Double.isFinite(weightDecay),
                "--weight-decay %s: it must be 0 or a positive number; try 0.1",
                weightDecay);
        UserException.require(
                !Double.isNaN(stopAbove), "stop_above: it must be a number; try 0.99");
        model.config(data);
    }

    /** Which split decides about stopping and selection. */
    public enum Protocol {
        /** A validation split of its own; the test split is only reported. */
        VALIDATION,
        /** The test split, as the original does. */
        PUBLISHED
    }
}
