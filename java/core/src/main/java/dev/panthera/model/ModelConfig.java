package dev.panthera.model;

import dev.panthera.UserException;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.nn.Init;

/**
 * A model of sequences, of token ids or of vectors.
 *
 * @param sequenceMixer mixes over time
 * @param block what is around the sequence mixer; the mixer's usual one where {@link BlockKind#AUTO} is given
 * @param stateMixer mixes over channels; a Mamba block has none
 * @param width channels, d_model
 * @param layers number of blocks
 * @param vocabSize number of tokens
 * @param maxPositions rows of the learned position table; 0: no positions
 * @param length the longest sequence that the model will see
 * @param continuous whether positions hold vectors instead of tokens: a {@link ContinuousModel}, else a {@link LanguageModel}
 * @param learnWordEmbeddings trains the word table and ties the head to it; otherwise the table stays as it is and the
 *     head has its own weights
 * @param embeddingInit what the word table starts as
 * @param embeddingDropout at the entry of the first block; a Mamba block has no dropout
 * @param residualDropout on the other residual branches
 * @param dropPath stochastic depth of both branches
 * @param normEpsilon of the final norm; the blocks' is 1e-5
 */
public record ModelConfig(
        MixerConfig sequenceMixer,
        BlockKind block,
        StateMixerConfig stateMixer,
        int width,
        int layers,
        int vocabSize,
        int maxPositions,
        int length,
        boolean continuous,
        boolean learnWordEmbeddings,
        EmbeddingInit embeddingInit,
        double embeddingDropout,
        double residualDropout,
        double dropPath,
        double normEpsilon) {

    /** Of token ids, with the mixer's usual block and the usual initial values of the word table. */
    public ModelConfig(
            MixerConfig sequenceMixer,
            StateMixerConfig stateMixer,
            int width,
            int layers,
            int vocabSize,
            int maxPositions,
            int length,
            boolean learnWordEmbeddings,
            double embeddingDropout,
            double residualDropout,
            double dropPath,
            double normEpsilon) {
        this(
                sequenceMixer,
                BlockKind.AUTO,
                stateMixer,
                width,
                layers,
                vocabSize,
                maxPositions,
                length,
                false,
                learnWordEmbeddings,
                EmbeddingInit.DEFAULT,
                embeddingDropout,
                residualDropout,
                dropPath,
                normEpsilon);
    }

    public ModelConfig {
        UserException.require(
                width >= 1, "--d-model %d: at least one channel is needed; try 64", width);
        UserException.require(
                layers >= 1, "--layers %d: at least one layer is needed; try 2", layers);
        UserException.require(
                vocabSize >= 2, "--vocab %d: at least two tokens are needed; try 8192", vocabSize);
        UserException.require(
                maxPositions == 0 || maxPositions >= length,
                "%d positions: sequences have length %d; use as many positions, or 0 for none",
                maxPositions,
                length);
        requireProbability("embedding dropout", embeddingDropout);
        requireProbability("residual dropout", residualDropout);
        requireProbability("drop path", dropPath);
        sequenceMixer.check(width);
        UserException.require(
                !continuous || !sequenceMixer.needsTokens(),
                "the mixer looks at tokens, and this task's inputs are vectors; choose another mixer or task");
        block = block.with(sequenceMixer);
    }

    /** What parameters start from in a model of such blocks. */
    Init init(long seed) {
        return new Init(
                seed,
                layers,
                block == BlockKind.MAMBA ? Init.Scheme.MAMBA : Init.Scheme.TRANSFORMER);
    }

    private static void requireProbability(String name, double value) {
        UserException.require(
                value >= 0 && value < 1,
                "%s %s: a probability in [0, 1) is needed; try 0.1",
                name,
                value);
    }
}
