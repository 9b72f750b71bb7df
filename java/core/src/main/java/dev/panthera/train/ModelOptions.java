package dev.panthera.train;

import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.model.ModelConfig;
import dev.panthera.nn.EmbeddingInit;

/**
 * A model, but for what its data decide: the vocabulary and the longest sequence.
 *
 * @param mixer mixes over time
 * @param block what is around the sequence mixer
 * @param layers number of blocks
 * @param dModel channels
 * @param stateMixer mixes over channels; a Mamba block has none
 * @param positions whether positions are learned, as many as the longest sequence has; never for data that hold vectors
 * @param learnWordEmbeddings see {@link ModelConfig#learnWordEmbeddings()}
 * @param embeddingInit what the word table starts as
 * @param dropout of the embeddings; a Mamba block has no dropout
 * @param residualDropout of the residual branches
 * @param dropPath stochastic depth
 */
public record ModelOptions(
        MixerConfig mixer,
        BlockKind block,
        int layers,
        int dModel,
        StateMixerConfig stateMixer,
        boolean positions,
        boolean learnWordEmbeddings,
        EmbeddingInit embeddingInit,
        double dropout,
        double residualDropout,
        double dropPath) {
    private static final double NORM_EPSILON = 1e-5;

    /** The same with another sequence mixer, number of blocks, and with or without positions. */
    ModelOptions withMixer(MixerConfig newMixer, int newLayers, boolean newPositions) {
        return new ModelOptions(
                newMixer,
                block,
                newLayers,
                dModel,
                stateMixer,
                newPositions,
                learnWordEmbeddings,
                embeddingInit,
                dropout,
                residualDropout,
                dropPath);
    }

    /** What a person calls the sequence mixer. */
    public String mixerLabel() {
        return Mixers.SEQUENCE.label(mixer);
    }

    /** The model for these data, checked. */
    public ModelConfig config(DataOptions data) {
        return config(data.vocabSize(), data.maxLength(), data.continuous());
    }

    /** The model for sequences of these tokens and up to that length, checked. */
    public ModelConfig config(int vocabSize, int length) {
        return config(vocabSize, length, false);
    }

    private ModelConfig config(int vocabSize, int length, boolean continuous) {
        return new ModelConfig(
                mixer,
                block,
                stateMixer,
                dModel,
                layers,
                vocabSize,
                positions && !continuous ? length : 0,
                length,
                continuous,
                learnWordEmbeddings,
                embeddingInit,
                dropout,
                residualDropout,
                dropPath,
                NORM_EPSILON);
    }
}
