package dev.panthera.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BlockKind;
import dev.panthera.mixer.Mamba;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mlp;
import dev.panthera.nn.EmbeddingInit;
import dev.panthera.nn.Parameters;
import dev.panthera.tensor.Tape;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Which block a model is made of, and models of Mamba blocks. */
class MambaBlockTest {
    private static final int VOCAB = 30;
    private static final int LENGTH = 40;
    private static final Mamba.Config MAMBA = new Mamba.Config(4);

    private static ModelConfig config(MixerConfig mixer, BlockKind block) {
        return new ModelConfig(
                mixer,
                block,
                new Mlp.Config(2),
                16,
                2,
                VOCAB,
                0,
                LENGTH,
                true,
                false,
                EmbeddingInit.DEFAULT,
                0.1,
                0,
                0,
                1e-5);
    }

    private static LanguageModel model(MixerConfig mixer, BlockKind block) {
        return LanguageModel.of(config(mixer, block), 3);
    }

    @Test
    void aModelHasTheBlockInWhichItsMixerIsUsual() {
        assertThat(model(MAMBA, BlockKind.AUTO).backbone().layers())
                .allSatisfy(block -> assertThat(block).isInstanceOf(MambaBlock.class));
        assertThat(model(new Attention.Config(2), BlockKind.AUTO).backbone().layers())
                .allSatisfy(block -> assertThat(block).isInstanceOf(TransformerBlock.class));
    }

    @Test
    void anotherBlockIsUsedWhereItIsAskedFor() {
        assertThat(Parameters.of(model(MAMBA, BlockKind.TRANSFORMER)).keySet())
                .contains(
                        "backbone.layers.0.sequence_mixer.A_log",
                        "backbone.layers.1.state_mixer.fc2.weight");
        assertThat(Parameters.of(model(new Attention.Config(2), BlockKind.MAMBA)).keySet())
                .contains("backbone.layers.0.mixer.Wqkv.weight", "backbone.layers.1.norm.weight")
                .doesNotContain("backbone.layers.0.norm2.weight");
    }

    /** Zeros, which the original's Transformer models once had there, are steps of 0.69: a state that forgets at once. */
    @ParameterizedTest
    @EnumSource(names = {"TRANSFORMER", "MAMBA"})
    void inEitherBlockTheFirstStepsAreShort(BlockKind block) {
        try (var rig = Rig.cpu(1)) {
            var store = rig.parameters(model(MAMBA, block));
            store.named()
                    .forEach((name, parameter) -> {
                        if (name.endsWith("dt_proj.bias")) {
                            for (double bias : rig.values(parameter)) {
                                double step = Math.log1p(Math.exp(bias));
                                assertThat(step).as(name).isBetween(0.0009999, 0.10001);
                            }
                        }
                    });
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"TRANSFORMER", "MAMBA"})
    void decodingGivesTheLogitsOfTheWholeSequence(BlockKind block) {
        int[] ids = new int[LENGTH];
        for (int i = 0; i < LENGTH; i++) {
            ids[i] = (i * 7 + i / 3) % VOCAB;
        }
        try (var rig = Rig.cpu(2)) {
            var model = model(MAMBA, block);
            rig.parameters(model);
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] whole = rig.values(model.logits(rig.tape(), rig.integers(ids, 1, LENGTH)));
            try (var decoder = new Decoder(model, rig.stream(), 1, LENGTH)) {
                int at = 0;
                for (int count : new int[] {2, 1, 1, 20, 1, 15}) {
                    int[] next = Arrays.copyOfRange(ids, at, at + count);
                    double[] logits = rig.values(decoder.append(next));
                    for (int i = 0; i < logits.length; i++) {
                        assertThat(logits[i])
                                .as("position %d", at + i / VOCAB)
                                .isCloseTo(whole[at * VOCAB + i], within(1e-6));
                    }
                    at += count;
                }
                assertThat(decoder.stateBytes()).isEqualTo(model.stateBytes(LENGTH));
            }
        }
    }
}
