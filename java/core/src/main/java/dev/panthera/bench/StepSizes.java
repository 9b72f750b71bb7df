package dev.panthera.bench;

import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;

/**
 * The training step of a model of the paper's figure 2: identity state mixers, a tied head, embedding dropout of 0.1;
 * attention has one head, dropout of 0.1 and learned positions, the others have none.
 *
 * @param mixer sequence mixer
 * @param layers number of blocks
 * @param batch sequences
 * @param length tokens of a sequence
 * @param pairs key-value pairs of a sequence, and labels
 * @param dModel channels
 * @param vocab number of tokens
 */
public record StepSizes(
        String mixer, int layers, int batch, int length, int pairs, int dModel, int vocab) {

    /** The sequences of the step that is compared with the reference. */
    private static final int GATE_BATCH = 2;

    TrainConfig config() {
        return ConfigDraft.of(Presets.named(Presets.FIGURE_2, mixer))
                .set("model.mixer", mixer)
                .set("model.layers", layers)
                .set("model.d_model", dModel)
                .set("data.vocab", vocab)
                .set("data.batch", batch)
                .set("data.train.*.length", length)
                .set("data.train.*.pairs", pairs)
                .set("data.train.*.examples", batch)
                .set("data.test.*.length", length)
                .set("data.test.*.pairs", pairs)
                .set("data.validation.*.length", length)
                .set("data.validation.*.pairs", pairs)
                .toConfig();
    }

    StepSizes small() {
        return new StepSizes(
                mixer, layers, Math.min(batch, GATE_BATCH), length, pairs, dModel, vocab);
    }
}
