package dev.panthera.train;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.mixer.Mixers;
import dev.panthera.model.ModelConfig;
import java.util.List;

/**
 * A model by names and numbers, as the command line and configuration files give it.
 *
 * @param mixer name of the sequence mixer; see {@link Mixers#names()}
 * @param hybrid mixers of the layers, where {@code mixer} is hybrid
 * @param heads of attention
 * @param taps of short filters by layer, -1 for one as long as the sequence
 * @param window of sliding attention
 * @param convMethod how long convolutions are computed
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
        List<Integer> taps,
        int window,
        ConvMethod convMethod,
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
        taps = List.copyOf(taps);
    }

    /** The same with another sequence mixer, number of blocks, and with or without positions. */
    ModelOptions withMixer(String newMixer, int newLayers, boolean newPositions) {
        return new ModelOptions(
                newMixer,
                hybrid,
                heads,
                taps,
                window,
                convMethod,
                newLayers,
                dModel,
                stateMixer,
                stateMultiple,
                newPositions,
                learnWordEmbeddings,
                dropout,
                residualDropout,
                dropPath);
    }

    /** The model for these data, checked. */
    public ModelConfig config(DataOptions data) {
        int length = data.maxLength();
        return new ModelConfig(
                Mixers.named(
                        mixer,
                        new Mixers.Options(heads, dropout, hybrid, taps, window, convMethod)),
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
