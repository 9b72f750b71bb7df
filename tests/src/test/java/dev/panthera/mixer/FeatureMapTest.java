package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.kernels.FeatureKind;
import dev.panthera.nn.Init;
import dev.panthera.tensor.LinearAttentionOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Rig;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Feature maps beyond the recorded ones, and the mixers made of them. */
class FeatureMapTest {

    private static final int WIDTH = 8;
    private static final int LENGTH = 20;
    private static final int BATCH = 2;

    static List<String> maps() {
        return FeatureMaps.ALL.names();
    }

    /** As many features as the map says, and all finite, of vectors whose signs and sizes differ. */
    @ParameterizedTest
    @MethodSource("maps")
    void sizesAreTrue(String name) {
        try (var rig = Rig.cpu(1)) {
            FeatureMap map = FeatureMaps.ALL.named(name).build(WIDTH, new Init(1, 1));
            rig.parameters(map);
            double[] values = Rig.gaussian(2, 3 * 2 * WIDTH);
            values[0] = 0;
            Tensor x = rig.leaf(values, 1, 3, 2, WIDTH);
            rig.tape().begin(Tape.Mode.EVALUATION);
            Tensor features = map.apply(rig.tape(), x, new FeatureMap.Span(0, 3));
            assertThat(features.shape()).containsExactly(1, 3, 2, map.size());
            assertThat(Arrays.stream(rig.values(features)).allMatch(Double::isFinite)).isTrue();
        }
    }

    /** With each map a decoder gives what the whole sequence gives, and keeps what it says. */
    @ParameterizedTest
    @MethodSource("maps")
    void basedDecodesWithEveryMap(String name) {
        try (var rig = Rig.exact()) {
            Mixer mixer =
                    new Based.Config(4, 2, FeatureMaps.ALL.named(name))
                            .build(new Layer(0, 1, WIDTH, LENGTH), new Init(1, 1));
            MixerContracts.enlarge(rig, rig.parameters(mixer));
            double[] input = Rig.gaussian(3, BATCH * LENGTH * WIDTH);
            Tensor x = rig.leaf(input, BATCH, LENGTH, WIDTH);
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] expected = rig.values(mixer.forward(rig.tape(), x));
            double[] decoded = Decoding.decode(rig, mixer::extend, input, LENGTH, List.of(7, 1, 4));
            assertThat(Decoding.error(decoded, expected)).isLessThan(1e-9);
        }
    }

    /** Nor does it keep more and more, as it would if each position left something behind. */
    @ParameterizedTest
    @MethodSource("maps")
    void aStepAllocatesNothing(String name) {
        try (var rig = Rig.cpu(1)) {
            Mixer mixer =
                    new Based.Config(4, 2, FeatureMaps.ALL.named(name))
                            .build(new Layer(0, 1, WIDTH, LENGTH), new Init(1, 1));
            rig.parameters(mixer);
            double[] input = Rig.gaussian(3, BATCH * WIDTH);
            try (var state = Decoding.empty(rig, BATCH, LENGTH)) {
                Decoding.step(rig, mixer::extend, state, input, 1);
                Decoding.step(rig, mixer::extend, state, input, 1);
                long before = rig.device().allocations();
                Decoding.step(rig, mixer::extend, state, input, 1);
                Decoding.step(rig, mixer::extend, state, input, 1);
                assertThat(rig.device().allocations()).isEqualTo(before);
            }
        }
    }

    /** Explicit features, in either form, give the outputs of the kernel, but that their factors are rounded to float. */
    @Test
    void bothFormsOfTheTaylorSeriesAreThatOfTheKernel() {
        try (var rig = Rig.exact()) {
            Tensor q = rig.leaf(Rig.gaussian(1, LENGTH * WIDTH), 1, LENGTH, WIDTH);
            Tensor k = rig.leaf(Rig.gaussian(2, LENGTH * WIDTH), 1, LENGTH, WIDTH);
            Tensor v = rig.leaf(Rig.gaussian(3, LENGTH * WIDTH), 1, LENGTH, WIDTH);
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] expected = attend(rig, FeatureKind.TAYLOR, q, k, v);
            for (boolean symmetric : new boolean[] {true, false}) {
                var map = new TaylorExp(WIDTH / 2, symmetric);
                double[] actual =
                        attend(
                                rig,
                                FeatureKind.GIVEN,
                                features(rig, map, q),
                                features(rig, map, k),
                                v);
                assertThat(actual).containsExactly(expected, within(1e-6));
            }
        }
    }

    private static Tensor features(Rig rig, FeatureMap map, Tensor x) {
        Tensor split = ReshapeOperation.apply(rig.tape(), x, 1, LENGTH, 2, WIDTH / 2);
        Tensor features = map.apply(rig.tape(), split, new FeatureMap.Span(0, LENGTH));
        return ReshapeOperation.apply(rig.tape(), features, 1, LENGTH, -1);
    }

    private static double[] attend(Rig rig, FeatureKind kind, Tensor q, Tensor k, Tensor v) {
        var weights = new LinearAttentionOperation.Weights(kind, true, 1e-6f);
        return rig.values(LinearAttentionOperation.apply(rig.tape(), weights, 2, q, k, v));
    }

    /** Rows are orthogonal within blocks of as many as there are channels, and all of one length. */
    @Test
    void randomFeaturesAreOrthogonalAndOfOneLength() {
        int size = 10;
        int width = 4;
        try (var rig = Rig.exact()) {
            RandomFeatures map = new RandomFeatures.Config(size).build(width, new Init(5, 1));
            rig.parameters(map);
            assertThat(map.directions().requiresGradient()).isFalse();
            double[] rows = rig.values(map.directions());
            for (int a = 0; a < size; a++) {
                for (int b = 0; b <= a; b++) {
                    double dot = 0;
                    for (int i = 0; i < width; i++) {
                        dot += rows[a * width + i] * rows[b * width + i];
                    }
                    if (a == b) {
                        assertThat(dot).isCloseTo((double) width / size, within(1e-6));
                    } else if (a / width == b / width) {
                        assertThat(dot).isCloseTo(0, within(1e-6));
                    }
                }
            }
        }
    }

    /** The Performer's weights come near those of the softmax, up to the length of the directions. */
    @Test
    void performerIsBasedWithRandomFeaturesAsWideAsItsValues() {
        var layer = new Layer(0, 1, WIDTH, LENGTH);
        Based performer = new Performer.Config(2, 6).build(layer, new Init(1, 1));
        assertThat(performer.queries().weight().shape()).containsExactly(WIDTH, WIDTH);
        assertThat(performer.stateSize(LENGTH)).isEqualTo(2 * 6 * (WIDTH / 2 + 1));
        assertThat(performer.publishedStateSize(LENGTH)).isEqualTo(2 * 4 * (WIDTH / 2 + 1));
    }

    @Test
    void cumSumAddsUpWhatCameBefore() {
        try (var rig = Rig.exact()) {
            CumSum mixer = new CumSum.Config().build(new Layer(0, 1, 2, 3), new Init(1, 1));
            var store = rig.parameters(mixer);
            for (Tensor weight : store.named().values()) {
                rig.stream().copyToDevice(weight.values(), new double[] {0, 1, 1, 0});
            }
            Tensor x = rig.leaf(new double[] {1, -2, 3, 4, -10, 0.5}, 1, 3, 2);
            rig.tape().begin(Tape.Mode.EVALUATION);
            assertThat(rig.values(mixer.forward(rig.tape(), x)))
                    .containsExactly(1, -2, 4, 2, -6, 2.5);
        }
    }

    /** Without causality every output sees the last input. */
    @Test
    void nonCausalBasedSeesTheFutureAndDoesNotDecode() {
        try (var rig = Rig.exact()) {
            Mixer mixer =
                    new Based.Config(4, 2, new TaylorExp.Config(), 1e-12, false, false, 10000)
                            .build(new Layer(0, 1, WIDTH, LENGTH), new Init(1, 1));
            MixerContracts.enlarge(rig, rig.parameters(mixer));
            double[] input = Rig.gaussian(3, LENGTH * WIDTH);
            List<double[]> outputs = new ArrayList<>();
            for (double last : new double[] {0, 1}) {
                input[input.length - 1] = last;
                Tensor x = rig.leaf(input, 1, LENGTH, WIDTH);
                rig.tape().begin(Tape.Mode.EVALUATION);
                outputs.add(rig.values(mixer.forward(rig.tape(), x)));
            }
            assertThat(outputs.get(0)[0]).isNotEqualTo(outputs.get(1)[0]);
            assertThatThrownBy(() -> Decoding.decode(rig, mixer::extend, input, LENGTH, List.of(1)))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("causal=true");
        }
    }

    @Test
    void mapsAreChosenByNameInConfigurations() {
        var draft =
                ConfigDraft.of(Presets.named(Presets.DEFAULT))
                        .setYaml("model.mixer", "based")
                        .setYaml("model.mixer.feature_map", "{name: relu, epsilon: 1e-3}");
        assertThat(draft.toConfig().model().mixer())
                .isEqualTo(new Based.Config(16, 1, new PointwiseMaps.Relu(1, 1e-3)));
        draft.setYaml("model.mixer.feature_map.temperature", "0");
        assertThatThrownBy(draft::toConfig)
                .isInstanceOf(UserException.class)
                .hasMessageContaining("temperature 0");
        assertThatThrownBy(() ->
                        ConfigDraft.of(Presets.named(Presets.DEFAULT))
                                .setYaml("model.mixer", "based")
                                .setYaml("model.mixer.feature_map", "taylor")
                                .toConfig())
                .isInstanceOf(UserException.class)
                .hasMessageContaining("--feature-map taylor: there is no such feature map");
    }

    @Test
    void impossibleOptionsAreRefused() {
        var taylor = new TaylorExp.Config();
        assertThatThrownBy(() -> new Based.Config(0, 1, taylor)).isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new Based.Config(4, 0, taylor)).isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new Based.Config(4, 3, taylor).check(WIDTH))
                .hasMessageContaining("heads must divide the width");
        assertThatThrownBy(() -> new Based.Config(3, 1, taylor, 0, true, true, 10000))
                .hasMessageContaining("pairs of channels");
        assertThatThrownBy(() -> new Performer.Config(1, 0)).isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new RandomFeatures.Config(0)).isInstanceOf(UserException.class);
    }
}
