package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** ScatterBrain against its formula, the random features by themselves, and activations that overflow where nothing is done. */
class ScatterBrainTest {

    private static final int WIDTH = MixerContracts.WIDTH;
    private static final int LENGTH = 30;

    /** The kernel takes 1 / sqrt(head_dim) in single precision, on the double device too. */
    private static final double SCALE_ROUNDING = 1e-6;

    private static ScatterBrain build(int heads, int window, int features) {
        return new ScatterBrain.Config(heads, window, features)
                .build(new Layer(0, 2, WIDTH, LENGTH), new Init(1, 2));
    }

    /** The product of two vectors' features. */
    private static double estimate(double[] directions, double[] query, double[] key) {
        int dim = query.length;
        int rows = directions.length / dim;
        double temperature = 1 / Math.sqrt(dim);
        double norms =
                temperature * (PlainAttention.dot(query, query) + PlainAttention.dot(key, key)) / 2;
        double sum = 0;
        for (int row = 0; row < rows; row++) {
            double[] direction = Arrays.copyOfRange(directions, row * dim, (row + 1) * dim);
            double along =
                    Math.sqrt(temperature)
                            * (PlainAttention.dot(direction, query)
                                    + PlainAttention.dot(direction, key));
            sum += Math.exp(along - norms) + Math.exp(-along - norms);
        }
        return sum / (2 * rows);
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 2", "2, 4, 6", "4, 29, 10", "2, 30, 4", "1, 7, 24"})
    void outputsAreThoseOfTheFormula(int heads, int window, int features) {
        try (var rig = Rig.exact()) {
            ScatterBrain mixer = build(heads, window, features);
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            double[] x = Rig.gaussian(1, LENGTH * WIDTH);
            double[] directions = rig.values(mixer.features().directions());
            double[] expected =
                    PlainAttention.mix(
                            rig,
                            store,
                            x,
                            heads,
                            (t, s, query, key) ->
                                    s > t - window
                                            ? PlainAttention.softmax(query, key)
                                            : estimate(directions, query, key));
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] found = rig.values(mixer.forward(rig.tape(), rig.leaf(x, 1, LENGTH, WIDTH)));
            assertThat(Decoding.error(found, expected)).isLessThan(SCALE_ROUNDING);
        }
    }

    /** With many features the weights before the window come near those of the softmax. */
    @Test
    void featuresEstimateTheSoftmax() {
        int dim = 16;
        try (var rig = Rig.exact()) {
            var map = new FavorPlus.Config(1 << 14).build(dim, new Init(2, 1));
            rig.parameters(map);
            double[] values = Rig.gaussian(3, 2 * dim);
            Tensor x = rig.leaf(values, 1, 2, 1, dim);
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] features = rig.values(map.apply(rig.tape(), x, new FeatureMap.Span(0, 2)));
            int size = map.size();
            double product =
                    PlainAttention.dot(
                            Arrays.copyOfRange(features, 0, size),
                            Arrays.copyOfRange(features, size, 2 * size));
            double expected =
                    PlainAttention.softmax(
                            Arrays.copyOfRange(values, 0, dim),
                            Arrays.copyOfRange(values, dim, 2 * dim));
            assertThat(product).isCloseTo(expected, within(0.05 * expected));
        }
    }

    /** Rows are orthogonal within blocks, and have the lengths of Gaussian vectors: their squares are 8 +- 4. */
    @Test
    void directionsAreOrthogonalAndAsLongAsGaussianVectors() {
        int rows = 800;
        int dim = 8;
        try (var rig = Rig.exact()) {
            var map = new FavorPlus.Config(2 * rows).build(dim, new Init(5, 1));
            rig.parameters(map);
            assertThat(map.directions().requiresGradient()).isFalse();
            double[] values = rig.values(map.directions());
            double sum = 0;
            double squares = 0;
            for (int row = 0; row < rows; row++) {
                double[] direction = Arrays.copyOfRange(values, row * dim, (row + 1) * dim);
                double norm = PlainAttention.dot(direction, direction);
                sum += norm;
                squares += norm * norm;
                for (int other = row / dim * dim; other < row; other++) {
                    double[] before = Arrays.copyOfRange(values, other * dim, (other + 1) * dim);
                    assertThat(PlainAttention.dot(direction, before)).isCloseTo(0, within(1e-5));
                }
            }
            double mean = sum / rows;
            assertThat(mean).isCloseTo(dim, within(0.7));
            assertThat(Math.sqrt(squares / rows - mean * mean)).isCloseTo(4, within(0.6));
        }
    }

    /** Queries and keys so large that exponentials of their products, norms and features leave single precision by far. */
    @ParameterizedTest
    @CsvSource({"10", "100", "1000", "100000"})
    void largeActivationsGiveFiniteOutputsAndGradients(double size) {
        try (var rig = Rig.cpu(2)) {
            ScatterBrain mixer = build(2, 4, 8);
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            double[] values =
                    Arrays.stream(Rig.gaussian(1, LENGTH * WIDTH)).map(v -> v * size).toArray();
            Tensor x = rig.leaf(values, 1, LENGTH, WIDTH);
            rig.tape().checkEachOperation(true);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor y = mixer.forward(rig.tape(), x);
            assertThat(Arrays.stream(rig.values(y))).allMatch(Double::isFinite);
            rig.tape().backward(y, rig.upload(Rig.gaussian(2, LENGTH * WIDTH)));
            assertThat(Arrays.stream(rig.gradient(x))).allMatch(Double::isFinite);
            store.named().values().stream()
                    .filter(Tensor::requiresGradient)
                    .forEach(parameter ->
                            assertThat(Arrays.stream(rig.gradient(parameter)))
                                    .allMatch(Double::isFinite));
        }
    }

    /** A feature ends at its bound, where it has no gradient. */
    @Test
    void featuresAreBounded() {
        int dim = 128;
        try (var rig = Rig.exact()) {
            var map = new FavorPlus.Config(2).build(dim, new Init(5, 1));
            rig.parameters(map);
            double[] direction = rig.values(map.directions());
            double[] aligned = Arrays.stream(direction).map(w -> w * Math.pow(dim, 0.25)).toArray();
            Tensor x = rig.leaf(aligned, 1, 1, 1, dim);
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] features = rig.values(map.apply(rig.tape(), x, new FeatureMap.Span(0, 1)));
            assertThat(Math.log(features[0])).isCloseTo(FavorPlus.LARGEST, within(1e-6));
            assertThat(features[1]).isLessThan(1e-30);
            Gradients.check(rig, List.of(x), tape -> map.apply(tape, x, new FeatureMap.Span(0, 1)));
        }
    }

    /** The published form: an output knows later keys, by the largest of them, so there is nothing to go on from. */
    @Test
    void thePublishedFormLooksAheadAndDoesNotDecode() {
        var config = new ScatterBrain.Config(2, 3, 4, true, true, false);
        assertThat(config.causal()).isFalse();
        assertThat(Mixers.marked("scatterbrain", config)).endsWith(Mixers.NON_CAUSAL);
        try (var rig = Rig.exact()) {
            Mixer mixer = config.build(new Layer(0, 1, WIDTH, LENGTH), new Init(1, 1));
            MixerContracts.enlarge(rig, rig.parameters(mixer));
            double[] input = Rig.gaussian(3, LENGTH * WIDTH);
            int last = input.length - WIDTH;
            Set<Double> middleOutputs = new HashSet<>();
            for (double size : new double[] {0, 0.5, 1, 2}) {
                double[] changed = input.clone();
                for (int i = last; i < input.length; i++) {
                    changed[i] *= size;
                }
                middleOutputs.add(forward(rig, mixer, changed)[LENGTH / 2 * WIDTH]);
            }
            assertThat(middleOutputs).hasSizeGreaterThan(1);
            assertThatThrownBy(() -> Decoding.decode(rig, mixer::extend, input, LENGTH, List.of(1)))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("causal=true");
        }
    }

    private static double[] forward(Rig rig, Mixer mixer, double[] input) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(mixer.forward(rig.tape(), rig.leaf(input, 1, LENGTH, WIDTH)));
    }

    @Test
    void thePublishedFormHasTheGradientsOfFiniteDifferences() {
        try (var rig = Rig.exact()) {
            var config = new ScatterBrain.Config(2, 3, 4, true, false, false);
            Mixer mixer = config.build(new Layer(0, 1, WIDTH, 9), new Init(1, 1));
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            Tensor x = rig.leaf(Rig.gaussian(2, 9 * WIDTH), 1, 9, WIDTH);
            List<Tensor> inputs =
                    store.named().values().stream()
                            .filter(Tensor::requiresGradient)
                            .collect(Collectors.toList());
            inputs.add(x);
            Gradients.check(rig, inputs, tape -> mixer.forward(tape, x));
        }
    }

    @Test
    void statesAreCountedBothWays() {
        ScatterBrain mixer = build(2, 5, 6);
        long sums = 2 * 6 * (WIDTH / 2 + 1);
        assertThat(mixer.stateSize(3)).isEqualTo(2 * 3 * WIDTH);
        assertThat(mixer.stateSize(5)).isEqualTo(2 * 5 * WIDTH);
        assertThat(mixer.stateSize(6)).isEqualTo(2 * 5 * WIDTH + sums);
        assertThat(mixer.publishedStateSize(3)).isEqualTo(2 * 5 * WIDTH + sums);
    }

    @Test
    void impossibleOptionsAreRefused() {
        assertThatThrownBy(() -> new ScatterBrain.Config(1, 0, 4))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("at least itself");
        assertThatThrownBy(() -> new ScatterBrain.Config(1, 4, 5))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("come in pairs");
        assertThatThrownBy(() -> new ScatterBrain.Config(0, 4, 4))
                .isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new ScatterBrain.Config(3, 4, 4).check(WIDTH))
                .hasMessageContaining("heads must divide the width");
        assertThatThrownBy(() -> new FavorPlus.Config(3)).isInstanceOf(UserException.class);
    }
}
