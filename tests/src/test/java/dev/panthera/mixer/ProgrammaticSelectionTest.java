package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.kernels.Backend;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceOptions;
import dev.panthera.model.Decoder;
import dev.panthera.model.LanguageModel;
import dev.panthera.model.ModelConfig;
import dev.panthera.nn.Init;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.EveryBackend;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** A mixer that looks at the tokens, in a model that hands them to it: what {@link MixerContracts} cannot give it. */
class ProgrammaticSelectionTest {
    private static final int BATCH = 2;
    private static final int LENGTH = 40;
    private static final int VOCAB = 12;

    private static ModelConfig config(boolean limited) {
        var selected =
                new SelectedAttention.Config(
                        2, new ProgrammaticSelection.Config(limited), 4, 0, true, false);
        return new ModelConfig(
                Hybrid.Config.of(new ShortConvolution.Config(3), selected),
                new Mlp.Config(2),
                8,
                2,
                VOCAB,
                LENGTH,
                LENGTH,
                true,
                0,
                0,
                0,
                1e-5);
    }

    private static LanguageModel model(Rig rig, boolean limited) {
        var model = LanguageModel.of(config(limited), 1);
        MixerContracts.enlarge(rig, rig.parameters(model));
        return model;
    }

    private static int[] tokens() {
        var random = CounterRandom.of(3, Purpose.ROW, 0);
        int[] ids = new int[BATCH * LENGTH];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = random.nextInt(3) == 0 ? 0 : random.nextInt(VOCAB);
        }
        return ids;
    }

    private static double[] logits(Rig rig, LanguageModel model, int[] ids) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(model.logits(rig.tape(), rig.integers(ids, BATCH, LENGTH)));
    }

    @Test
    void aTokenChangesNothingBeforeIt() {
        for (boolean limited : new boolean[] {true, false}) {
            try (var rig = Rig.cpu(2)) {
                var model = model(rig, limited);
                int[] ids = tokens();
                double[] before = logits(rig, model, ids);
                for (int token : new int[] {0, 1, 17, LENGTH - 1}) {
                    int[] changed = ids.clone();
                    changed[token] = (changed[token] + 1) % VOCAB;
                    double[] after = logits(rig, model, changed);
                    assertThat(Arrays.mismatch(before, after))
                            .isBetween(token * VOCAB, (token + 1) * VOCAB - 1);
                    assertThat(Arrays.copyOfRange(after, LENGTH * VOCAB, after.length))
                            .isEqualTo(Arrays.copyOfRange(before, LENGTH * VOCAB, before.length));
                }
            }
        }
    }

    @ParameterizedTest
    @EveryBackend
    void anyDivisionGivesTheLogitsOfTheWholeSequence(Backend backend) {
        int[][] divisions = {{LENGTH}, {1}, {13, 1, 1, 5}};
        for (boolean limited : new boolean[] {true, false}) {
            try (var rig = new Rig(Device.open(DeviceOptions.of(backend).withThreads(2)))) {
                var model = model(rig, limited);
                int[] ids = tokens();
                double[] whole = logits(rig, model, ids);
                for (int[] division : divisions) {
                    assertDecodes(rig, model, ids, whole, division);
                }
            }
        }
    }

    private static void assertDecodes(
            Rig rig, LanguageModel model, int[] ids, double[] whole, int[] division) {
        double largest = Arrays.stream(whole).map(Math::abs).max().orElseThrow();
        try (var decoder = new Decoder(model, rig.stream(), BATCH, LENGTH)) {
            for (int step = 0; decoder.position() < LENGTH; step++) {
                int first = decoder.position();
                int count = step < division.length ? division[step] : 1;
                int[] part = new int[BATCH * count];
                for (int i = 0; i < part.length; i++) {
                    part[i] = ids[i / count * LENGTH + first + i % count];
                }
                double[] decoded = rig.values(decoder.append(part));
                for (int i = 0; i < decoded.length; i++) {
                    int row = i / VOCAB;
                    int at = (row / count * LENGTH + first + row % count) * VOCAB + i % VOCAB;
                    assertThat(Math.abs(decoded[i] - whole[at]) / largest)
                            .as("position %d", first + row % count)
                            .isLessThan(1e-5);
                }
            }
            if (rig.tape().type()
                    == DataType.F32) { // tokens take four bytes wherever they are kept
                assertThat(decoder.stateBytes()).isEqualTo(BATCH * model.stateBytes(LENGTH));
            }
        }
    }

    @Test
    void neededRowsAreThoseOfAllRows() {
        try (var rig = Rig.cpu(2)) {
            var mixer =
                    new SelectedAttention.Config(
                                    2, new ProgrammaticSelection.Config(true), 3, 0, true, false)
                            .build(new Layer(0, 1, 8, LENGTH), new Init(1, 1));
            MixerContracts.enlarge(rig, rig.parameters(mixer));
            var bound = mixer.withTokens(rig.integers(tokens(), BATCH, LENGTH));
            Tensor x = rig.leaf(Rig.gaussian(2, BATCH * LENGTH * 8), BATCH, LENGTH, 8);
            int[] rows = {0, 4, 9, 9, 17, LENGTH, LENGTH + 20, LENGTH + 39};
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] all = rig.values(bound.forward(rig.tape(), x));
            double[] needed =
                    rig.values(
                            bound.forwardRows(rig.tape(), x, rig.integers(rows, 1, rows.length)));
            for (int i = 0; i < needed.length; i++) {
                assertThat(needed[i]).isCloseTo(all[rows[i / 8] * 8 + i % 8], within(1e-6));
            }
            assertThatThrownBy(() -> mixer.forward(rig.tape(), x))
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("withTokens");
        }
    }

    @Test
    void aModelOfVectorsHasNoTokens() {
        var config = config(true);
        assertThat(config.sequenceMixer().needsTokens()).isTrue();
        assertThatThrownBy(() ->
                        new ModelConfig(
                                config.sequenceMixer(),
                                config.block(),
                                config.stateMixer(),
                                config.width(),
                                config.layers(),
                                VOCAB,
                                0,
                                LENGTH,
                                true,
                                true,
                                config.embeddingInit(),
                                0,
                                0,
                                0,
                                1e-5))
                .isInstanceOf(UserException.class);
    }
}
