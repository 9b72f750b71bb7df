package dev.panthera.model;

import dev.panthera.mixer.DecodeState;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.StateMixer;
import dev.panthera.nn.Dropout;
import dev.panthera.nn.Init;
import dev.panthera.nn.Norm;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A pre-norm block. From block to block goes a pair of the last branch's output and the residual stream before its addition:
 *
 * <pre>
 *     residual = residual + drop1(hidden)      hidden = sequence_mixer(norm1(residual))
 *     residual = residual + drop2(hidden)      hidden = state_mixer(norm2(residual))
 * </pre>
 */
public record TransformerBlock(
        Mixer sequenceMixer,
        StateMixer stateMixer,
        Norm norm1,
        Norm norm2,
        Dropout drop1,
        Dropout drop2)
        implements Parameterized {
    private static final double NORM_EPSILON = 1e-5;

    /** The pair that blocks pass on; residual is null in front of the first block. */
    public record State(Tensor hidden, @Nullable Tensor residual) {}

    static TransformerBlock of(ModelConfig config, Layer layer, Init init) {
        double drop1 = layer.index() == 0 ? config.embeddingDropout() : config.residualDropout();
        float path = (float) config.dropPath();
        return new TransformerBlock(
                config.sequenceMixer().build(layer, init),
                config.stateMixer().build(layer, init),
                Norm.layer(layer.width(), NORM_EPSILON, init),
                Norm.layer(layer.width(), NORM_EPSILON, init),
                new Dropout((float) drop1, path, layer.dropoutKey(0)),
                new Dropout((float) config.residualDropout(), path, layer.dropoutKey(1)));
    }

    /** Applies the block to what the one before passed on; all tensors are {@code (batch, length, channels)}. */
    public State forward(Tape tape, State state) {
        return forward(tape, state, null);
    }

    /**
     * As {@link #forward(Tape, State)}, where not all positions of the result are used.
     *
     * @param neededRows int32 {@code (1, count)}: the only positions, counted over the batch, that are used further on;
     *     then what follows the sequence mixer is computed for them alone, and the result is {@code (1, count, channels)}.
     *     Null: all are used.
     */
    public State forward(Tape tape, State state, @Nullable Tensor neededRows) {
        if (neededRows != null && !stateMixer.isPerPosition()) {
            State all = forward(tape, state, null);
            return new State(
                    GatherRowsOperation.apply(tape, all.hidden(), neededRows),
                    GatherRowsOperation.apply(tape, all.residual(), neededRows));
        }
        var first = norm1.addAndApply(tape, drop1.apply(tape, state.hidden()), state.residual());
        Tensor mixed = mix(tape, first.normalised(), neededRows);
        Tensor residual =
                neededRows == null
                        ? first.sum()
                        : GatherRowsOperation.apply(tape, first.sum(), neededRows);
        var second = norm2.addAndApply(tape, mixed, residual);
        return new State(stateMixer.forward(tape, second.normalised()), second.sum());
    }

    /** Applies the block to the positions after those that {@code kept} has seen; see {@link Mixer#extend}. */
    public State extend(Tape tape, State state, DecodeState kept) {
        var first = norm1.addAndApply(tape, state.hidden(), state.residual());
        Tensor mixed = sequenceMixer.extend(tape, first.normalised(), kept.part("sequence_mixer"));
        var second = norm2.addAndApply(tape, mixed, first.sum());
        return new State(
                stateMixer.extend(tape, second.normalised(), kept.part("state_mixer")),
                second.sum());
    }

    /** Dropout draws by the place of a row, so where there is any it comes before rows are left out. */
    private Tensor mix(Tape tape, Tensor x, @Nullable Tensor neededRows) {
        if (neededRows == null) {
            return drop2.apply(tape, sequenceMixer.forward(tape, x));
        }
        if (!drop2.isActive(tape)) {
            return sequenceMixer.forwardRows(tape, x, neededRows);
        }
        Tensor mixed = drop2.apply(tape, sequenceMixer.forward(tape, x));
        return GatherRowsOperation.apply(tape, mixed, neededRows);
    }
}
