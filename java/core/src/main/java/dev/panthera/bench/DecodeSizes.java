package dev.panthera.bench;

import dev.panthera.UserException;
import dev.panthera.model.ModelConfig;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;

/**
 * A model of the paper's figure 2 that generates: identity state mixers, a tied head; attention has learned positions, the
 * others have none.
 *
 * @param mixer sequence mixer
 * @param layers number of blocks
 * @param batch sequences, which go on together
 * @param dModel channels
 * @param vocab number of tokens
 */
public record DecodeSizes(String mixer, int layers, int batch, int dModel, int vocab) {
    private static final long SEED = 2;

    public DecodeSizes {
        UserException.require(
                batch >= 1, "--batch %d: at least one sequence is needed; try 1", batch);
        UserException.require(
                vocab >= 2, "--vocab %d: there must be two tokens to choose from; try 256", vocab);
    }

    DecodeSizes withBatch(int newBatch) {
        return new DecodeSizes(mixer, layers, newBatch, dModel, vocab);
    }

    ModelConfig config(int length) {
        return ConfigDraft.of(Presets.named(Presets.FIGURE_2, mixer))
                .set("model.mixer", mixer)
                .set("model.layers", layers)
                .set("model.d_model", dModel)
                .toConfig()
                .model()
                .config(vocab, length);
    }

    /** Arbitrary tokens, {@code count} of each sequence. */
    int[] tokens(int count) {
        return Noise.integers(SEED, (long) batch * count, vocab);
    }
}
