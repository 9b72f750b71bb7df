package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.Activation;
import dev.panthera.kernels.ArithmeticKind;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * Positions that a trained score puts first (Arora et al. 2023, arXiv 2312.04927, section 5):
 *
 * <pre>s[t] = w . x[t] + b + noise (u[t] - 1/2)      gate f[t] = sigmoid(s[t])</pre>
 *
 * with u uniform in [0, 1) and drawn anew in every training step, absent from evaluation. Nothing tells the score which positions to
 * choose but the gate's gradient, and a penalty that pushes the mean of f down to the share of places.
 */
public record LearnedSelection(
        @StateName("selecting") Linear score,
        boolean choosesInTraining,
        double penalty,
        double noise,
        long noiseKey)
        implements Selection {
    private static final int NOISE_SITE = 9;

    /**
     * @param hard whether only the chosen positions attend in training too, which costs as little there as in evaluation; false: all
     *     do, each by its gate
     * @param penalty on the mean of the gates, as far as it exceeds the share of places
     * @param noise width of what is added to the scores in training
     * @param bias whether the score has one
     */
    public record Config(boolean hard, double penalty, double noise, boolean bias)
            implements SelectionConfig {
        private static final double PENALTY = 1;

        public Config {
            requireFactor("penalty", penalty);
            requireFactor("noise", noise);
        }

        /** Soft in training, with a penalty a thousand times the original's: it finds what to choose where places are scarce. */
        public Config() {
            this(false, PENALTY, 0, true);
        }

        @Override
        public LearnedSelection build(Layer layer, Init init) {
            return new LearnedSelection(
                    Linear.of(layer.width(), 1, bias, init),
                    hard,
                    penalty,
                    noise,
                    layer.dropoutKey(NOISE_SITE));
        }
    }

    static void requireFactor(String name, double value) {
        UserException.require(
                value >= 0 && Double.isFinite(value),
                "selection: %s %s: a number of at least 0 is needed; try 0.001",
                name,
                value);
    }

    @Override
    public Tensor scores(Tape tape, Tensor x) {
        Tensor scores = score.apply(tape, x);
        if (noise == 0 || !tape.training()) {
            return scores;
        }
        Tensor drawn = Draws.uniform(tape, noiseKey, x.size(0), x.size(1));
        Tensor centred = FeatureOps.with(tape, ArithmeticKind.SUBTRACT, drawn, 0.5);
        return scores.plus(FeatureOps.scale(tape, centred, noise));
    }

    @Override
    public Tensor gate(Tape tape, Tensor scores) {
        return FeatureOps.activate(tape, Activation.SIGMOID, scores);
    }

    @Override
    public Tensor ranks(Tape tape, Tensor scores) {
        return Ranks.rounded(tape, scores);
    }
}
