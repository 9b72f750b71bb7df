package dev.panthera.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BaseConv;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Hyena;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.Passthrough;
import dev.panthera.mixer.Rwkv4;
import dev.panthera.mixer.Rwkv4ChannelMix;
import dev.panthera.mixer.SlidingAttention;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.task.TaskConfig;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Training computes the last block's tail for labelled positions only; that must change nothing. */
class NeededRowsTest {

    private static final int BATCH = 6;
    private static final int LENGTH = 20;
    private static final int VOCAB = 40;
    private static final double TOLERANCE = 1e-6;

    static Stream<Arguments> models() {
        var attention = new Attention.Config(2, 0.1, true);
        var none = new Passthrough.Config();
        return Stream.of(
                Arguments.of(attention, new Mlp.Config(4), 0.0, 0.0),
                Arguments.of(attention, none, 0.0, 0.3),
                Arguments.of(attention, none, 0.2, 0.2),
                Arguments.of(new SlidingAttention.Config(1, 7, false, 0.1, true), none, 0.0, 0.0),
                Arguments.of(new Attention.Config(2, 0.1, true, true), none, 0.0, 0.0),
                Arguments.of(
                        new SlidingAttention.Config(1, 7, false, 0.1, true, true), none, 0.0, 0.0),
                Arguments.of(new BaseConv.Config(List.of(3, -1), ConvMethod.AUTO), none, 0.0, 0.0),
                Arguments.of(new BaseConv.Config(List.of(-1, 3), ConvMethod.AUTO), none, 0.0, 0.2),
                Arguments.of(new Hyena.Config(ConvMethod.AUTO), none, 0.0, 0.0),
                Arguments.of(new Rwkv4.Config(), new Rwkv4ChannelMix.Config(2), 0.0, 0.0),
                Arguments.of(
                        new Hybrid.Config(List.of(new Hyena.Config(ConvMethod.AUTO), attention)),
                        new Mlp.Config(2),
                        0.0,
                        0.0));
    }

    @ParameterizedTest
    @MethodSource("models")
    void lossAndGradientsAreThoseOfAllRows(
            MixerConfig mixer,
            StateMixerConfig stateMixer,
            double residualDropout,
            double dropPath) {
        try (var rig = Rig.cpu(2)) {
            var model = LanguageModel.of(config(mixer, stateMixer, residualDropout, dropPath), 7);
            var parameters = rig.parameters(model);
            rig.random().write(rig.stream(), 3, 5);
            Tensor ids = rig.integers(tokens(), BATCH, LENGTH);
            Tensor labels = rig.integers(labels(), BATCH, LENGTH);
            int[] labelled = labelled();
            Tensor rows = rig.integers(labelled, 1, labelled.length);
            int[] chosen = Arrays.stream(labelled).map(row -> labels()[row]).toArray();
            Tensor rowLabels = rig.integers(chosen, 1, chosen.length);

            var all = measure(rig, parameters.named(), tape -> model.loss(tape, ids, labels));
            var needed =
                    measure(
                            rig,
                            parameters.named(),
                            tape ->
                                    VocabularyLossOperation.apply(
                                            tape,
                                            model.hidden(tape, ids, rows),
                                            model.head().weight(),
                                            rowLabels));

            assertThat(needed.keySet()).isEqualTo(all.keySet());
            double largest =
                    all.values().stream().mapToDouble(NeededRowsTest::largest).max().orElseThrow();
            all.forEach((name, expected) -> {
                double scale = Math.max(largest(expected), 1e-3 * largest);
                assertThat(difference(needed.get(name), expected) / scale)
                        .as(name)
                        .isLessThanOrEqualTo(TOLERANCE);
            });
        }
    }

    @Test
    void theNeededRowsOfTheBackboneAreThoseRows() {
        try (var rig = Rig.cpu(1)) {
            var model =
                    LanguageModel.of(
                            config(new Attention.Config(2, 0.1, true), new Mlp.Config(2), 0, 0), 7);
            rig.parameters(model);
            Tensor ids = rig.integers(tokens(), BATCH, LENGTH);
            int[] chosen = {0, 3, 57, 119};
            Tensor rows = rig.integers(chosen, 1, chosen.length);
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] all = rig.values(model.backbone().forward(rig.tape(), ids));
            double[] needed = rig.values(model.backbone().forward(rig.tape(), ids, rows));
            int width = 16;
            for (int i = 0; i < chosen.length; i++) {
                double[] expected =
                        Arrays.copyOfRange(all, chosen[i] * width, (chosen[i] + 1) * width);
                double[] found = Arrays.copyOfRange(needed, i * width, (i + 1) * width);
                assertThat(difference(found, expected) / largest(expected))
                        .isLessThanOrEqualTo(TOLERANCE);
            }
        }
    }

    private static Map<String, double[]> measure(
            Rig rig,
            Map<String, Tensor> parameters,
            Function<Tape, VocabularyLossOperation.Result> function) {
        Map<String, Tensor> trained = new LinkedHashMap<>(parameters);
        trained.values().removeIf(parameter -> !parameter.requiresGradient());
        trained.values().forEach(rig::clearGradient);
        rig.tape().begin(Tape.Mode.TRAINING);
        var result = function.apply(rig.tape());
        Map<String, double[]> measured = new LinkedHashMap<>();
        measured.put("loss", rig.values(result.loss()));
        rig.tape().backward(result.loss());
        trained.forEach((name, parameter) -> measured.put(name, rig.gradient(parameter)));
        return measured;
    }

    private static ModelConfig config(
            MixerConfig mixer,
            StateMixerConfig stateMixer,
            double residualDropout,
            double dropPath) {
        return new ModelConfig(
                mixer,
                stateMixer,
                16,
                2,
                VOCAB,
                LENGTH,
                LENGTH,
                true,
                0.1,
                residualDropout,
                dropPath,
                1e-5);
    }

    private static int[] tokens() {
        int[] tokens = new int[BATCH * LENGTH];
        Arrays.setAll(tokens, i -> (i * 7 + i / 3) % VOCAB);
        return tokens;
    }

    /** Some rows have three labels, one has none. */
    private static int[] labels() {
        int[] labels = new int[BATCH * LENGTH];
        Arrays.fill(labels, TaskConfig.IGNORE);
        for (int row = 0; row < BATCH - 1; row++) {
            for (int position : new int[] {4 + row, 10, 19}) {
                labels[row * LENGTH + position] = (row * 11 + position) % VOCAB;
            }
        }
        return labels;
    }

    private static int[] labelled() {
        int[] labels = labels();
        return IntStream.range(0, labels.length)
                .filter(i -> labels[i] != TaskConfig.IGNORE)
                .toArray();
    }

    private static double largest(double[] values) {
        return Arrays.stream(values).map(Math::abs).max().orElseThrow();
    }

    private static double difference(double[] a, double[] b) {
        assertThat(a).hasSameSizeAs(b);
        double largest = 0;
        for (int i = 0; i < a.length; i++) {
            largest = Math.max(largest, Math.abs(a[i] - b[i]));
        }
        return largest;
    }
}
