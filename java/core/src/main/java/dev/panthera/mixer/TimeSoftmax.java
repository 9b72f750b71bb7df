package dev.panthera.mixer;

import dev.panthera.kernels.Activation;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.ConcatenateOperation;
import dev.panthera.tensor.CumulativeLogSumExpOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.SoftmaxOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * A linear score, and as gate the share of its exponential: {@code f[t] = exp(s[t]) / sum over u <= t of exp(s[u])}, or over all u.
 *
 * @param causal false: gates sum to 1 over the whole sequence, and so depend on what comes
 */
record TimeSoftmax(@StateName("selecting") Linear score, boolean causal) implements Selection {
    /** The logarithm of an empty sum, but finite. */
    private static final float NOTHING = -1e30f;

    @Override
    public Tensor scores(Tape tape, Tensor x) {
        return score.apply(tape, x);
    }

    @Override
    public Tensor gate(Tape tape, Tensor scores) {
        if (causal) {
            return FeatureOps.activate(
                    tape, Activation.SIGMOID, scores.minus(before(tape, scores)));
        }
        Tensor rows = ReshapeOperation.apply(tape, scores, scores.size(0), scores.size(1));
        return ReshapeOperation.apply(tape, SoftmaxOperation.apply(tape, rows), scores.shape());
    }

    /**
     * The logarithm of the exponentials' sum in front of each position. The share of one beside that sum is a sigmoid, which does not
     * lose its gradient where it comes near 1, as the first position's always does.
     */
    private static Tensor before(Tape tape, Tensor scores) {
        int batch = scores.size(0);
        int length = scores.size(1);
        Tensor none = ReshapeOperation.apply(tape, tape.constant(NOTHING, batch), batch, 1, 1);
        if (length == 1) {
            return none;
        }
        Tensor totals = CumulativeLogSumExpOperation.apply(tape, scores, 1);
        return ConcatenateOperation.apply(
                tape, 1, none, SliceOperation.apply(tape, totals, 1, 0, length - 1));
    }

    @Override
    public Tensor ranks(Tape tape, Tensor scores) {
        return Ranks.rounded(tape, scores);
    }

    @Override
    public boolean choosesInTraining() {
        return false;
    }
}
