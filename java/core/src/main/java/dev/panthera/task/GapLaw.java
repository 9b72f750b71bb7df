package dev.panthera.task;

import dev.panthera.UserException;
import java.util.Arrays;

/**
 * Where behind the pairs the keys are asked: a law over the slots 0, 1, 2, ... that queries can take, nearest first. Slots
 * are drawn one after the other without replacement, each with probability proportional to its weight among those left,
 * except under {@link Fixed}.
 */
public sealed interface GapLaw {

    /**
     * Probability of each slot in a single draw.
     *
     * @throws UnsupportedOperationException if slots are not drawn
     */
    double[] slotProbabilities(int slots);

    /**
     * Fails unless all keys can be asked.
     *
     * @param slots that queries can take
     * @param pairs that are asked, at most as many as slots
     * @throws UserException if they cannot; says what to try
     */
    void check(int slots, int pairs);

    /** Draws a slot for each pair. */
    default IndexSampler sampler(int slots, int pairs) {
        return new WeightedSampler(slotProbabilities(slots));
    }

    /**
     * Slot s has weight {@code (s+1)^(a-1)}: a = 1 is uniform, a towards 0 approaches 1/(s+1). The law of the original MQAR.
     *
     * @param powerA a, more than 0
     */
    record PowerLaw(double powerA) implements GapLaw {
        static final double DEFAULT_A = 0.01;

        public PowerLaw {
            UserException.require(
                    powerA > 0 && Double.isFinite(powerA),
                    "--power-a %s: the exponent of the query distances must be positive; try %s",
                    powerA,
                    DEFAULT_A);
        }

        @Override
        public double[] slotProbabilities(int slots) {
            double[] weights = new double[slots];
            for (int s = 0; s < slots; s++) {
                weights[s] = StrictMath.pow(s + 1.0, powerA - 1.0);
            }
            return normalised(weights);
        }

        @Override
        public void check(int slots, int pairs) {
            UserException.require(
                    (powerA - 1) * StrictMath.log(slots) <= WeightedSampler.MAX_LOG_WEIGHT_RATIO,
                    "--power-a %s: queries at short distances would have probability 0 with %d places for them; try 1 (uniform) or"
                            + " less",
                    powerA,
                    slots);
        }
    }

    /** Every slot has the same weight. */
    record Uniform() implements GapLaw {
        @Override
        public double[] slotProbabilities(int slots) {
            double[] weights = new double[slots];
            Arrays.fill(weights, 1);
            return normalised(weights);
        }

        @Override
        public void check(int slots, int pairs) {}
    }

    /**
     * Slot s has weight {@code ratio^s}.
     *
     * @param gapRatio ratio, more than 0 and less than 1
     */
    record Geometric(double gapRatio) implements GapLaw {
        public Geometric {
            UserException.require(
                    gapRatio > 0 && gapRatio < 1,
                    "--gap-ratio %s: each slot is less likely than the one before, so it lies between 0 and 1; try 0.9",
                    gapRatio);
        }

        @Override
        public double[] slotProbabilities(int slots) {
            double[] weights = new double[slots];
            for (int s = 0; s < slots; s++) {
                weights[s] = StrictMath.pow(gapRatio, s);
            }
            return normalised(weights);
        }

        @Override
        public void check(int slots, int pairs) {
            UserException.require(
                    -slots * StrictMath.log(gapRatio) <= WeightedSampler.MAX_LOG_WEIGHT_RATIO,
                    "--gap-ratio %s: queries at long distances would have probability 0 with %d places for them; try %.3f or more",
                    gapRatio,
                    slots,
                    StrictMath.ceil(
                                    1e3
                                            * StrictMath.exp(
                                                    -WeightedSampler.MAX_LOG_WEIGHT_RATIO / slots))
                            / 1e3);
        }
    }

    /**
     * Every query stands the same number of tokens behind its key, so the keys are asked in the order in which they were
     * shown.
     *
     * @param gap tokens from a key, where it was shown last, to its query; even
     */
    record Fixed(int gap) implements GapLaw {
        public Fixed {
            UserException.require(
                    gap >= 2 && gap % 2 == 0,
                    "--gap %d: keys and queries stand at even positions, so their distance is even; try %d",
                    gap,
                    gap < 2 ? 32 : gap + 1L);
        }

        @Override
        public double[] slotProbabilities(int slots) {
            throw new UnsupportedOperationException("a fixed gap draws no slots");
        }

        @Override
        public void check(int slots, int pairs) {
            int largest = 2 * slots;
            UserException.require(
                    gap >= 2L * pairs && gap <= largest,
                    "--gap %d: the first query comes after all %d pairs and the last one within the row, so it lies between"
                            + " %d and %d; try %d",
                    gap,
                    pairs,
                    2 * pairs,
                    largest,
                    2 * pairs);
        }

        @Override
        public IndexSampler sampler(int slots, int pairs) {
            return (random, out) -> {
                for (int i = 0; i < pairs; i++) {
                    out[i] = i + gap / 2 - pairs;
                }
            };
        }
    }

    private static double[] normalised(double[] weights) {
        double sum = 0;
        for (double weight : weights) {
            sum += weight;
        }
        for (int i = 0; i < weights.length; i++) {
            weights[i] /= sum;
        }
        return weights;
    }
}
