package dev.panthera.mixer;

import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.CumulativeSumOperation;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * The sum of all values so far, projected: {@code y[t] = W_o sum_{s<=t} W_v x[s]}. The least that a state can do, which is to count:
 * linear attention whose weights are all 1, without queries, keys or a denominator. A baseline for what needs no more than
 * that, such as a majority or a parity of what came before, which a state mixer can read off the counts.
 *
 * <p>The original's experiments on circuits name such a mixer but do not contain it, so this is ours: sums and not means, as its
 * name says, because a parity can be told from a count and not, at any length, from a share.
 */
public record CumSum(@StateName("proj_v") Linear values, @StateName("proj_o") Linear output)
        implements Mixer {

    public record Config() implements MixerConfig {
        @Override
        public CumSum build(Layer layer, Init init) {
            int width = layer.width();
            return new CumSum(
                    Linear.of(width, width, false, init), Linear.of(width, width, false, init));
        }

        @Override
        public boolean needsPositions() {
            return true;
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return output.apply(tape, sums(tape, x));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(tape, GatherRowsOperation.apply(tape, sums(tape, x), rows));
    }

    private Tensor sums(Tape tape, Tensor x) {
        return CumulativeSumOperation.apply(tape, values.apply(tape, x), 1);
    }

    /** Keeps the last sums. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        Tensor last = state.tensor("sums", x.size(0), 1, x.size(2));
        Tensor sums = sums(tape, x).plus(last);
        Rows.copy(tape.stream(), sums, x.size(1) - 1, last, 0, 1);
        return output.apply(tape, sums);
    }

    @Override
    public long stateSize(int length) {
        return output.weight().size(1);
    }
}
