package dev.panthera.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.kernels.Backend;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceOptions;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Based;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Hyena;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.ShortConvolution;
import dev.panthera.mixer.SlidingAttention;
import dev.panthera.mixer.TaylorExp;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.EveryBackend;
import dev.panthera.testing.Rig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

class DecoderTest {
    private static final int BATCH = 3;
    private static final int LENGTH = 20;
    private static final int VOCAB = 40;
    private static final double TOLERANCE = 1e-5;

    /** Layers that keep keys and values, a window, taps and a history, with positions to be counted on. */
    private static ModelConfig config() {
        return new ModelConfig(
                Hybrid.Config.of(
                        new Attention.Config(2, 0.1, true),
                        new SlidingAttention.Config(2, 4, false, 0, true),
                        new ShortConvolution.Config(3),
                        new Hyena.Config(ConvMethod.AUTO)),
                new Mlp.Config(2),
                8,
                4,
                VOCAB,
                LENGTH + 4,
                LENGTH,
                true,
                0.1,
                0,
                0,
                1e-5);
    }

    private static LanguageModel model(Rig rig) {
        var model = LanguageModel.of(config(), 1);
        var store = rig.parameters(model);
        long seed = 10;
        for (Tensor parameter : store.named().values()) {
            rig.stream()
                    .copyToDevice(
                            parameter.values(),
                            Rig.gaussian(seed++, Math.toIntExact(parameter.size())));
        }
        return model;
    }

    @Test
    void aModelThatLooksAheadIsRefused() {
        var ahead =
                Hybrid.Config.of(
                        new Attention.Config(1),
                        new Based.Config(4, 1, new TaylorExp.Config(), 1e-12, false, false, 10000));
        var config =
                new ModelConfig(
                        ahead, new Mlp.Config(2), 8, 2, VOCAB, 0, LENGTH, true, 0, 0, 0, 1e-5);
        try (var rig = Rig.cpu(1)) {
            var model = LanguageModel.of(config, 1);
            rig.parameters(model);
            assertThatThrownBy(() -> new Decoder(model, rig.stream(), 1, 4))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("causal=true");
        }
    }

    private static int[] tokens(int count) {
        var random = CounterRandom.of(3, Purpose.ROW, 0);
        int[] ids = new int[count];
        for (int i = 0; i < count; i++) {
            ids[i] = random.nextInt(VOCAB);
        }
        return ids;
    }

    /** Positions {@code [first, first + count)} of each sequence of {@code length}. */
    private static int[] part(int[] ids, int length, int first, int count) {
        int batch = ids.length / length;
        int[] part = new int[batch * count];
        for (int i = 0; i < part.length; i++) {
            part[i] = ids[i / count * length + first + i % count];
        }
        return part;
    }

    private static double[] logits(Rig rig, LanguageModel model, int[] ids, int length) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(model.logits(rig.tape(), rig.integers(ids, ids.length / length, length)));
    }

    /** Compares the logits of positions {@code [first, first + count)} with all of the whole sequences. */
    private static void assertAgrees(
            double[] decoded, double[] whole, int length, int first, int count) {
        double largest = 0;
        for (double value : whole) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < decoded.length; i++) {
            int row = i / VOCAB;
            int at = (row / count * length + first + row % count) * VOCAB + i % VOCAB;
            assertThat(Math.abs(decoded[i] - whole[at]) / largest)
                    .as("position %d, logit %d", first + row % count, i % VOCAB)
                    .isLessThan(TOLERANCE);
        }
    }

    private static Rig rig(Backend backend) {
        return new Rig(Device.open(DeviceOptions.of(backend).withThreads(2)));
    }

    @ParameterizedTest
    @EveryBackend
    void anyDivisionGivesTheLogitsOfTheWholeSequence(Backend backend) {
        int[] ids = tokens(BATCH * LENGTH);
        try (var rig = rig(backend)) {
            var model = model(rig);
            double[] whole = logits(rig, model, ids, LENGTH);
            try (var decoder = new Decoder(model, rig.stream(), BATCH, LENGTH)) {
                for (int count : new int[] {6, 1, 1, 5, 1, 6}) {
                    int first = decoder.position();
                    Tensor logits = decoder.append(part(ids, LENGTH, first, count));
                    assertThat(logits.shape()).containsExactly(BATCH, count, VOCAB);
                    assertAgrees(rig.values(logits), whole, LENGTH, first, count);
                }
                assertThat(decoder.position()).isEqualTo(LENGTH);
            }
        }
    }

    @ParameterizedTest
    @EveryBackend
    void theNextTokenFollowsFromTheLast(Backend backend) {
        int[] ids = tokens(BATCH * LENGTH);
        try (var rig = rig(backend)) {
            var model = model(rig);
            double[] whole = logits(rig, model, ids, LENGTH);
            try (var decoder = new Decoder(model, rig.stream(), BATCH, LENGTH)) {
                for (int count : new int[] {7, 1, 4}) {
                    Tensor logits = decoder.next(part(ids, LENGTH, decoder.position(), count));
                    assertThat(logits.shape()).containsExactly(BATCH, 1, VOCAB);
                    int last = decoder.position() - 1;
                    assertAgrees(rig.values(logits), whole, LENGTH, last, 1);
                }
            }
        }
    }

    /** Each generated token is the largest logit of the whole sequence up to it, computed anew. */
    @ParameterizedTest
    @EveryBackend
    void generationTakesTheLargestLogit(Backend backend) {
        int prompt = 5;
        int wanted = 6;
        int[] ids = tokens(BATCH * prompt);
        try (var rig = rig(backend)) {
            var model = model(rig);
            int[] generated;
            try (var decoder = new Decoder(model, rig.stream(), BATCH, prompt + wanted - 1)) {
                generated = decoder.generate(ids, wanted);
                assertThat(decoder.position()).isEqualTo(prompt + wanted - 1);
            }
            for (int b = 0; b < BATCH; b++) {
                int[] sequence = new int[prompt + wanted];
                System.arraycopy(ids, b * prompt, sequence, 0, prompt);
                System.arraycopy(generated, b * wanted, sequence, prompt, wanted);
                double[] logits = logits(rig, model, sequence, sequence.length);
                for (int i = 0; i < wanted; i++) {
                    int row = (prompt + i - 1) * VOCAB;
                    int largest = 0;
                    for (int v = 1; v < VOCAB; v++) {
                        largest = logits[row + v] > logits[row + largest] ? v : largest;
                    }
                    assertThat(generated[b * wanted + i]).isEqualTo(largest);
                }
            }
        }
    }

    @ParameterizedTest
    @EveryBackend
    void closingGivesAllMemoryBack(Backend backend) {
        try (var rig = rig(backend)) {
            var model = model(rig);
            long before = rig.device().liveBytes();
            try (var decoder = new Decoder(model, rig.stream(), BATCH, LENGTH)) {
                decoder.generate(tokens(BATCH * 3), 4);
                long numbers = model.stateBytes(LENGTH) / Float.BYTES;
                assertThat(decoder.stateBytes())
                        .isEqualTo(BATCH * numbers * rig.tape().type().bytes());
            }
            rig.stream().synchronize();
            assertThat(rig.device().liveBytes()).isEqualTo(before);
        }
    }

    @Test
    void whatCannotBeDecodedIsRefused() {
        try (var rig = Rig.cpu(1)) {
            var model = model(rig);
            assertThatThrownBy(() -> new Decoder(model, rig.stream(), 1, LENGTH + 5))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("25 tokens: the model has learned 24 positions");
            assertThatThrownBy(() -> new Decoder(model, rig.stream(), 0, 3))
                    .isInstanceOf(UserException.class);
            try (var decoder = new Decoder(model, rig.stream(), 2, 4)) {
                decoder.append(tokens(2 * 3));
                assertThatThrownBy(() -> decoder.append(tokens(2 * 2)))
                        .isInstanceOf(UserException.class)
                        .hasMessageContaining("2 tokens after 3: the decoder was made for 4");
                assertThatThrownBy(() -> decoder.generate(tokens(2), 2))
                        .isInstanceOf(UserException.class);
                assertThatThrownBy(() -> decoder.append(1, 2, 3))
                        .isInstanceOf(IllegalArgumentException.class);
                assertThatThrownBy(() -> decoder.append())
                        .isInstanceOf(IllegalArgumentException.class);
                decoder.append(tokens(2));
                assertThat(decoder.position()).isEqualTo(4);
            }
        }
    }

    /** What a failure leaves half done must not pass for a state. */
    @Test
    void afterAFailureMidwayThereIsNothingToGoOnFrom() {
        try (var rig = Rig.cpu(1)) {
            var model = model(rig);
            try (var decoder = new Decoder(model, rig.stream(), 1, LENGTH + 2)) {
                decoder.append(tokens(LENGTH));
                assertThatThrownBy(() -> decoder.append(0))
                        .isInstanceOf(UserException.class)
                        .hasMessageContaining(
                                "a sequence of length 21, but the filter was made for 20");
                assertThatThrownBy(() -> decoder.append(0))
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("make a new decoder");
            }
        }
    }
}
