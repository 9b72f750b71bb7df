package dev.panthera.bench;

import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import dev.panthera.train.TrainConfig;
import java.util.List;

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
                .setAll(
                        List.of(
                                "data.train.*.task.vocab_size",
                                "data.validation.*.task.vocab_size",
                                "data.test.*.task.vocab_size"),
                        vocab)
                .set("data.batch", batch)
                .set("data.train.*.task.length", length)
                .set("data.train.*.task.pairs", pairs)
                .set("data.train.*.examples", batch)
                .set("data.test.*.task.length", length)
                .set("data.test.*.task.pairs", pairs)
                .set("data.validation.*.task.length", length)
                .set("data.validation.*.task.pairs", pairs)
                .toConfig();
    }

    StepSizes small() {
        return new StepSizes(
                mixer, layers, Math.min(batch, GATE_BATCH), length, pairs, dModel, vocab);
    }
}
