package dev.panthera.model;

import dev.panthera.mixer.DecodeState;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.StateMixer;
import dev.panthera.nn.Dropout;
import dev.panthera.nn.Init;
import dev.panthera.nn.Norm;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A pre-norm block of two branches, of which one mixes over time and the other over channels:
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
        implements Block {
    private static final double NORM_EPSILON = 1e-5;

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

    @Override
    public State forward(Tape tape, State state, @Nullable Tensor neededRows) {
        if (neededRows != null && !stateMixer.isPerPosition()) {
            State all = forward(tape, state, null);
            return state.next(
                    GatherRowsOperation.apply(tape, all.hidden(), neededRows),
                    GatherRowsOperation.apply(tape, all.residual(), neededRows));
        }
        var first = norm1.addAndApply(tape, drop1.apply(tape, state.hidden()), state.residual());
        Tensor mixed = mix(tape, state.with(sequenceMixer), first.normalised(), neededRows);
        Tensor residual =
                neededRows == null
                        ? first.sum()
                        : GatherRowsOperation.apply(tape, first.sum(), neededRows);
        var second = norm2.addAndApply(tape, mixed, residual);
        return state.next(stateMixer.forward(tape, second.normalised()), second.sum());
    }

    @Override
    public State extend(Tape tape, State state, DecodeState kept) {
        var first = norm1.addAndApply(tape, state.hidden(), state.residual());
        Tensor mixed =
                state.with(sequenceMixer)
                        .extend(tape, first.normalised(), kept.part("sequence_mixer"));
        var second = norm2.addAndApply(tape, mixed, first.sum());
        return state.next(
                stateMixer.extend(tape, second.normalised(), kept.part("state_mixer")),
                second.sum());
    }

    @Override
    public long stateSize(int length) {
        return sequenceMixer.stateSize(length) + stateMixer.stateSize(length);
    }

    /** Dropout draws by the place of a row, so where there is any it comes before rows are left out. */
    private Tensor mix(Tape tape, Mixer mixer, Tensor x, @Nullable Tensor neededRows) {
        if (neededRows == null) {
            return drop2.apply(tape, mixer.forward(tape, x));
        }
        if (!drop2.isActive(tape)) {
            return mixer.forwardRows(tape, x, neededRows);
        }
        Tensor mixed = drop2.apply(tape, mixer.forward(tape, x));
        return GatherRowsOperation.apply(tape, mixed, neededRows);
    }
}
