package dev.panthera.model;

import dev.panthera.mixer.DecodeState;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.nn.Init;
import dev.panthera.nn.Norm;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A pre-norm block of a sequence mixer alone (Gu and Dao 2023, arXiv 2312.00752, section 3.4), without dropout:
 *
 * <pre>
 *     residual = residual + hidden      hidden = mixer(norm(residual))
 * </pre>
 *
 * @param norm an RMS norm
 */
public record MambaBlock(@StateName("mixer") Mixer sequenceMixer, Norm norm) implements Block {
    private static final double NORM_EPSILON = 1e-5;

    static MambaBlock of(ModelConfig config, Layer layer, Init init) {
        return new MambaBlock(
                config.sequenceMixer().build(layer, init),
                Norm.rms(layer.width(), NORM_EPSILON, init));
    }

    @Override
    public State forward(Tape tape, State state, @Nullable Tensor neededRows) {
        var sum = norm.addAndApply(tape, state.hidden(), state.residual());
        Mixer mixer = state.with(sequenceMixer);
        if (neededRows == null) {
            return state.next(mixer.forward(tape, sum.normalised()), sum.sum());
        }
        return state.next(
                mixer.forwardRows(tape, sum.normalised(), neededRows),
                GatherRowsOperation.apply(tape, sum.sum(), neededRows));
    }

    @Override
    public State extend(Tape tape, State state, DecodeState kept) {
        var sum = norm.addAndApply(tape, state.hidden(), state.residual());
        return state.next(
                state.with(sequenceMixer).extend(tape, sum.normalised(), kept.part("mixer")),
                sum.sum());
    }

    @Override
    public long stateSize(int length) {
        return sequenceMixer.stateSize(length);
    }
}
