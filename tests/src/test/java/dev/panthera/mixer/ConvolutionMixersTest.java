package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What convolutional mixers and sliding attention promise beyond the contract of all mixers. */
class ConvolutionMixersTest {
    private static final int WIDTH = 8;
    private static final double FFT_LEAK = 2e-6;

    private static List<MixerConfig> byFft() {
        return List.of(
                new LongConvolution.Config(0, ConvMethod.FFT),
                new ImplicitLongConvolution.Config(0, ConvMethod.FFT),
                new BaseConv.Config(List.of(-1), ConvMethod.FFT),
                new BaseConv.Config(List.of(-1), false, true, false, 0, ConvMethod.FFT),
                new Hyena.Config(ConvMethod.FFT));
    }

    @ParameterizedTest
    @MethodSource("dev.panthera.mixer.MixerContracts#byFft")
    void aLaterTokenLeaksNoMoreThanRoundingByFft(MixerConfig config) {
        try (var rig = Rig.cpu(2)) {
            for (int length : new int[] {17, 100, 300}) {
                Mixer mixer = built(rig, config, length);
                double[] input = Rig.gaussian(2, length * WIDTH);
                double[] before = forward(rig, mixer, input, length);
                for (int token : new int[] {1, length / 2, length - 1}) {
                    double[] changed = input.clone();
                    for (int i = token * WIDTH; i < (token + 1) * WIDTH; i++) {
                        changed[i] += 1;
                    }
                    double[] after = forward(rig, mixer, changed, length);
                    double largest = Arrays.stream(before).map(Math::abs).max().orElseThrow();
                    for (int i = 0; i < token * WIDTH; i++) {
                        assertThat(Math.abs(after[i] - before[i]))
                                .as("length %d, token %d, output %d", length, token, i)
                                .isLessThanOrEqualTo(FFT_LEAK * largest);
                    }
                }
            }
        }
    }

    @Test
    void slidingAttentionSeesExactlyItsWindow() {
        int window = 5;
        int length = 150;
        int token = 70;
        for (boolean asPublished : new boolean[] {false, true}) {
            int keys = asPublished ? window + 1 : window;
            try (var rig = Rig.cpu(2)) {
                Mixer mixer =
                        built(
                                rig,
                                new SlidingAttention.Config(2, window, asPublished, 0, true),
                                length);
                double[] input = Rig.gaussian(2, length * WIDTH);
                double[] before = forward(rig, mixer, input, length);
                input[token * WIDTH + 3] += 1;
                double[] after = forward(rig, mixer, input, length);
                for (int t = 0; t < length; t++) {
                    boolean same =
                            Arrays.equals(
                                    before,
                                    t * WIDTH,
                                    (t + 1) * WIDTH,
                                    after,
                                    t * WIDTH,
                                    (t + 1) * WIDTH);
                    assertThat(same)
                            .as("position %d, %d keys", t, keys)
                            .isEqualTo(t < token || t >= token + keys);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("byFft")
    void sequencesLongerThanTheFilterAreRefused(MixerConfig config) {
        try (var rig = Rig.cpu(1)) {
            Mixer mixer = built(rig, config, 16);
            assertThatThrownBy(() -> forward(rig, mixer, new double[17 * WIDTH], 17))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining(
                            "a sequence of length 17, but the filter was made for 16");
        }
    }

    /** With dropout the gate in front of the convolution is an operation of its own; the numbers must not change by that. */
    @Test
    void hyenaIsTheSameWithItsFirstGateApart() {
        double[][] results = new double[2][];
        for (int i = 0; i < 2; i++) {
            double dropout = i == 0 ? 0 : 1e-9;
            try (var rig = Rig.cpu(2)) {
                int length = 33;
                var config =
                        new Hyena.Config(
                                0, 3, dropout, HyenaFilter.Options.DEFAULT, ConvMethod.AUTO);
                Mixer mixer = built(rig, config, length);
                Tensor x = rig.leaf(Rig.gaussian(2, length * WIDTH), 1, length, WIDTH);
                rig.tape().begin(Tape.Mode.TRAINING);
                Tensor y = mixer.forward(rig.tape(), x);
                rig.tape().backward(y, rig.upload(Rig.gaussian(3, length * WIDTH)));
                results[i] = rig.gradient(x);
            }
        }
        double largest = Arrays.stream(results[0]).map(Math::abs).max().orElseThrow();
        for (int i = 0; i < results[0].length; i++) {
            assertThat(Math.abs(results[1][i] - results[0][i])).isLessThan(1e-5 * largest);
        }
    }

    @Test
    void optionsThatMakeNoMixerAreRefused() {
        assertRefused(() -> new BaseConv.Config(List.of(), ConvMethod.AUTO), "--taps");
        assertRefused(() -> new BaseConv.Config(List.of(3, 0), ConvMethod.AUTO), "--taps 0");
        assertRefused(() -> new ShortConvolution.Config(-1), "--taps -1");
        assertRefused(() -> new SlidingAttention.Config(1, 0, false, 0, true), "--window 0");
        assertRefused(
                () -> new ImplicitLongConvolution.Config(0, 4, 16, true, ConvMethod.AUTO),
                "4 positional features");
        assertRefused(
                () -> new Hyena.Config(0, 3, 1, HyenaFilter.Options.DEFAULT, ConvMethod.AUTO),
                "dropout 1.0");
        assertRefused(() -> new HyenaFilter.Window(0, 1.5, 0.01, 0), "within 0.0 to 1.5");
        assertRefused(() -> new HyenaFilter.Window(0.3, 1.5, 1, 0), "decays to 1.0");
        assertRefused(() -> new HyenaFilter.Window(0.3, 1.5, 0.01, Double.NaN), "shifted by NaN");
    }

    /** At the given parts of the positions the slowest and the fastest channel have decayed to the target. */
    @Test
    void theWindowOfAHyenaFilterDecaysAsAsked() {
        float[] deltas = new HyenaFilter.Window(0.25, 2, 0.1, 0).deltas(3);
        assertThat(Math.exp(-2 * Math.abs(deltas[0]))).isCloseTo(0.1, within(1e-6));
        assertThat(Math.exp(-0.25 * Math.abs(deltas[2]))).isCloseTo(0.1, within(1e-6));
        assertThat(deltas[1]).isCloseTo((deltas[0] + deltas[2]) / 2, within(1e-5f));
    }

    private static void assertRefused(Runnable made, String part) {
        assertThatThrownBy(made::run).isInstanceOf(UserException.class).hasMessageContaining(part);
    }

    private static Mixer built(Rig rig, MixerConfig config, int length) {
        Mixer mixer = config.build(new Layer(0, 1, WIDTH, length), new Init(1, 1));
        rig.parameters(mixer);
        return mixer;
    }

    private static double[] forward(Rig rig, Mixer mixer, double[] input, int length) {
        Tensor x = rig.leaf(input, 1, length, WIDTH);
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(mixer.forward(rig.tape(), x));
    }
}
