package dev.panthera.model;

import dev.panthera.mixer.Layer;
import dev.panthera.nn.Dropout;
import dev.panthera.nn.Init;
import dev.panthera.nn.Norm;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Embeddings, blocks and the final norm: token ids to hidden vectors. */
public record Backbone(
        Embeddings embeddings,
        List<TransformerBlock> layers,
        @StateName("ln_f") Norm finalNorm,
        Dropout finalDropout)
        implements Parameterized {

    static Backbone of(ModelConfig config, Init init) {
        var embeddings = Embeddings.of(config, init);
        List<TransformerBlock> blocks = new ArrayList<>();
        for (int i = 0; i < config.layers(); i++) {
            var layer = new Layer(i, config.layers(), config.width(), config.length());
            blocks.add(TransformerBlock.of(config, layer, init));
        }
        var end = new Layer(config.layers(), config.layers(), config.width(), config.length());
        return new Backbone(
                embeddings,
                List.copyOf(blocks),
                Norm.layer(config.width(), config.normEpsilon(), init),
                new Dropout((float) config.residualDropout(), 0, end.dropoutKey(0)));
    }

    /**
     * @param ids int32 {@code (batch, length)}
     * @return {@code (batch, length, channels)}
     */
    public Tensor forward(Tape tape, Tensor ids) {
        var state = new TransformerBlock.State(embeddings.forward(tape, ids), null);
        for (TransformerBlock block : layers) {
            state = block.forward(tape, state);
        }
        return finalNorm
                .addAndApply(tape, finalDropout.apply(tape, state.hidden()), state.residual())
                .normalised();
    }
}
