package dev.panthera.train;

/**
 * Cosine annealing by epoch: {@code lr(e) = lr / 2 * (1 + cos(pi e / period))}, e = 0, 1, ...
 *
 * @param learningRate at epoch 0
 * @param period in epochs
 */
public record CosineSchedule(double learningRate, int period) {

    public double at(int epoch) {
        return 0.5 * learningRate * (1 + StrictMath.cos(Math.PI * epoch / period));
    }
}
