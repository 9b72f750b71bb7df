package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Attention with rotary positions against its formula, and that it sees distances alone. */
class RotaryAttentionTest {

    private static final int WIDTH = 12;
    private static final int LENGTH = 9;

    /** The kernel takes 1 / sqrt(head_dim) in single precision, on the double device too. */
    private static final double SCALE_ROUNDING = 1e-7;

    static Stream<Arguments> mixers() {
        return Stream.of(
                Arguments.of(new Attention.Config(1, 0, true, true), 1, LENGTH),
                Arguments.of(new Attention.Config(3, 0, false, true), 3, LENGTH),
                Arguments.of(new SlidingAttention.Config(2, 4, false, 0, true, true), 2, 4),
                Arguments.of(new SlidingAttention.Config(1, 4, true, 0, true, true), 1, 5));
    }

    @ParameterizedTest
    @MethodSource("mixers")
    void outputsAreThoseOfTheFormula(MixerConfig config, int heads, int window) {
        try (var rig = Rig.exact()) {
            Mixer mixer = build(config);
            var store = rig.parameters(mixer);
            long seed = 10;
            for (var parameter : store.named().values()) {
                rig.stream()
                        .copyToDevice(
                                parameter.values(),
                                Rig.gaussian(seed++, Math.toIntExact(parameter.size())));
            }
            double[] x = Rig.gaussian(1, LENGTH * WIDTH);
            var named = store.named();
            double[] packed =
                    linear(
                            x,
                            rig.values(named.get("Wqkv.weight")),
                            named.containsKey("Wqkv.bias")
                                    ? rig.values(named.get("Wqkv.bias"))
                                    : new double[3 * WIDTH]);
            double[] expected =
                    linear(
                            attend(packed, heads, window),
                            rig.values(named.get("out_proj.weight")),
                            rig.values(named.get("out_proj.bias")));
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] found = rig.values(mixer.forward(rig.tape(), rig.leaf(x, 1, LENGTH, WIDTH)));
            double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
            assertThat(found).containsExactly(expected, within(SCALE_ROUNDING * largest));
        }
    }

    private static double[] linear(double[] x, double[] weight, double[] bias) {
        double[] y = new double[LENGTH * bias.length];
        for (int i = 0; i < y.length; i++) {
            int out = i % bias.length;
            y[i] = bias[out];
            for (int j = 0; j < WIDTH; j++) {
                y[i] += x[i / bias.length * WIDTH + j] * weight[out * WIDTH + j];
            }
        }
        return y;
    }

    private static double[] attend(double[] packed, int heads, int window) {
        int dim = WIDTH / heads;
        double[] y = new double[LENGTH * WIDTH];
        for (int head = 0; head < heads; head++) {
            for (int t = 0; t < LENGTH; t++) {
                double[] query = turned(packed, t, head * dim, dim);
                double[] weights = new double[t + 1];
                int first = Math.max(0, t - window + 1);
                for (int s = first; s <= t; s++) {
                    double[] key = turned(packed, s, WIDTH + head * dim, dim);
                    double product = 0;
                    for (int c = 0; c < dim; c++) {
                        product += query[c] * key[c];
                    }
                    weights[s] = Math.exp(product / Math.sqrt(dim));
                }
                double sum = Arrays.stream(weights).sum();
                for (int s = first; s <= t; s++) {
                    for (int c = 0; c < dim; c++) {
                        y[t * WIDTH + head * dim + c] +=
                                weights[s]
                                        / sum
                                        * packed[s * 3 * WIDTH + 2 * WIDTH + head * dim + c];
                    }
                }
            }
        }
        return y;
    }

    private static double[] turned(double[] packed, int position, int first, int dim) {
        double[] vector = new double[dim];
        int begin = position * 3 * WIDTH + first;
        for (int i = 0; i < dim / 2; i++) {
            double angle = position * Math.pow(10_000, -2.0 * i / dim);
            double a = packed[begin + i];
            double b = packed[begin + dim / 2 + i];
            vector[i] = a * Math.cos(angle) - b * Math.sin(angle);
            vector[dim / 2 + i] = b * Math.cos(angle) + a * Math.sin(angle);
        }
        return vector;
    }

    /** Behind any number of tokens that its window hides, a sequence is answered as if it stood alone. */
    @Test
    void aShiftOfAllPositionsChangesNothing() {
        int window = 3;
        int shift = 5;
        try (var rig = Rig.exact()) {
            Mixer mixer = build(new SlidingAttention.Config(2, window, false, 0, true, true));
            rig.parameters(mixer);
            double[] x = Rig.gaussian(1, LENGTH * WIDTH);
            double[] shifted = new double[(shift + LENGTH) * WIDTH];
            System.arraycopy(Rig.gaussian(2, shift * WIDTH), 0, shifted, 0, shift * WIDTH);
            System.arraycopy(x, 0, shifted, shift * WIDTH, x.length);
            double[] alone = forward(rig, mixer, x);
            double[] behind = forward(rig, mixer, shifted);
            int same = (window - 1) * WIDTH;
            assertThat(Arrays.copyOfRange(behind, shift * WIDTH + same, behind.length))
                    .containsExactly(Arrays.copyOfRange(alone, same, alone.length), within(1e-13));
        }
    }

    /** Without positions, tokens before the last may change places; with rotary ones they may not. */
    @Test
    void theOrderOfTokensMatters() {
        double[] x = Rig.gaussian(1, LENGTH * WIDTH);
        double[] swapped = x.clone();
        System.arraycopy(x, 0, swapped, WIDTH, WIDTH);
        System.arraycopy(x, WIDTH, swapped, 0, WIDTH);
        for (boolean rotary : new boolean[] {false, true}) {
            try (var rig = Rig.exact()) {
                var config = new Attention.Config(2, 0, true, rotary);
                assertThat(config.needsPositions()).isEqualTo(!rotary);
                Mixer mixer = build(config);
                rig.parameters(mixer)
                        .named()
                        .values()
                        .forEach(parameter ->
                                rig.stream()
                                        .copyToDevice(
                                                parameter.values(),
                                                Rig.gaussian(
                                                        3, Math.toIntExact(parameter.size()))));
                double[] before = last(forward(rig, mixer, x));
                double[] after = last(forward(rig, mixer, swapped));
                double difference = 0;
                for (int i = 0; i < WIDTH; i++) {
                    difference = Math.max(difference, Math.abs(after[i] - before[i]));
                }
                if (rotary) {
                    assertThat(difference).isGreaterThan(1e-3);
                } else {
                    assertThat(difference).isLessThan(1e-12);
                }
            }
        }
    }

    @Test
    void headsOfAnOddWidthCannotBeTurned() {
        assertThatThrownBy(() -> new Attention.Config(4, 0, true, true).check(WIDTH))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("each of 4 heads has 3");
        assertThatThrownBy(
                        () -> new SlidingAttention.Config(4, 2, false, 0, true, true).check(WIDTH))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith("--rotary");
    }

    private static Mixer build(MixerConfig config) {
        return config.build(new Layer(0, 1, WIDTH, LENGTH), new Init(1, 1));
    }

    private static double[] forward(Rig rig, Mixer mixer, double[] x) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(mixer.forward(rig.tape(), rig.leaf(x, 1, x.length / WIDTH, WIDTH)));
    }

    private static double[] last(double[] outputs) {
        return Arrays.copyOfRange(outputs, outputs.length - WIDTH, outputs.length);
    }
}
