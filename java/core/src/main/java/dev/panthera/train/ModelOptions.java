package dev.panthera.train;

import dev.panthera.mixer.Mixers;
import dev.panthera.model.ModelConfig;
import java.util.List;

/**
 * A model by names and numbers, as the command line and configuration files give it.
 *
 * @param mixer name of the sequence mixer; see {@link Mixers#names()}
 * @param hybrid mixers of the layers, where {@code mixer} is hybrid
 * @param heads of attention
 * @param layers number of blocks
 * @param dModel channels
 * @param stateMixer name of the state mixer; see {@link Mixers#stateMixerNames()}
 * @param stateMultiple hidden channels of the state mixer per channel
 * @param positions whether positions are learned, as many as the longest sequence has
 * @param learnWordEmbeddings see {@link ModelConfig#learnWordEmbeddings()}
 * @param dropout of the embeddings and of attention weights
 * @param residualDropout of the residual branches
 * @param dropPath stochastic depth
 */
public record ModelOptions(
        String mixer,
        List<String> hybrid,
        int heads,
        int layers,
        int dModel,
        String stateMixer,
        int stateMultiple,
        boolean positions,
        boolean learnWordEmbeddings,
        double dropout,
        double residualDropout,
        double dropPath) {
    private static final double NORM_EPSILON = 1e-5;

    public ModelOptions {
        hybrid = List.copyOf(hybrid);
    }

    /** The model for these data, checked. */
    public ModelConfig config(DataOptions data) {
        int length = data.maxLength();
        return new ModelConfig(
                Mixers.named(mixer, new Mixers.Options(heads, dropout, hybrid)),
                Mixers.stateMixerNamed(stateMixer, stateMultiple),
                dModel,
                layers,
                data.vocab(),
                positions ? length : 0,
                length,
                learnWordEmbeddings,
                dropout,
                residualDropout,
                dropPath,
                NORM_EPSILON);
    }
}
