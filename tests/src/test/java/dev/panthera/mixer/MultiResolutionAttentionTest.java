package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Both forms of multi-resolution attention against loops over their definitions. */
class MultiResolutionAttentionTest {
    private static final int WIDTH = 12;

    /** Kernels take 1 / sqrt(head_dim) and log(block_size) in single precision, on the double device too. */
    private static final double ROUNDING = 1e-6;

    private static MultiResolutionAttention.Config causal(
            int heads, int blocksPerRow, int blockSize, boolean sparse) {
        return new MultiResolutionAttention.Config(
                heads, blocksPerRow, blockSize, sparse, true, 0, 0, 0);
    }

    private static MultiResolutionAttention.Config published(
            int heads, int blocksPerRow, boolean sparse, int maxLength, int first, int diagonal) {
        return new MultiResolutionAttention.Config(
                heads, blocksPerRow, 4, sparse, false, maxLength, first, diagonal);
    }

    @ParameterizedTest
    @CsvSource({
        "1, 1, 4, false, 30",
        "2, 2, 4, false, 41",
        "3, 2, 3, true, 30",
        "2, 1, 5, true, 23",
        "1, 3, 1, false, 9",
        "2, 9, 4, false, 20",
        "2, 2, 8, false, 7",
        "2, 2, 8, true, 8",
    })
    void theCausalFormIsItsDefinition(
            int heads, int blocksPerRow, int blockSize, boolean sparse, int length) {
        var config = causal(heads, blocksPerRow, blockSize, sparse);
        check(config, length, loops -> loops.causal(blocksPerRow, sparse));
    }

    /** Of 5 x 5 pairs of blocks; with fewer chosen than the preferred ones, with several degrees of preference, and with fewer than the rows have maxima, which are equal. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, false, 20, 0, 0, 5",
        "2, 2, false, 0, 0, 0, 10",
        "3, 1, true, 20, 0, 0, 5",
        "2, 3, true, 12, 0, 0, 9",
        "1, 9, false, 20, 0, 0, 25",
        "2, 2, false, 20, 0, 1, 10",
        "1, 1, false, 16, 0, 3, 4",
        "2, 2, false, 20, 1, 0, 10",
        "2, 2, true, 20, 2, 2, 10",
        "1, 1, false, 12, 1, 2, 3",
        "2, 1, false, 8, 0, 0, 2",
        "1, 1, true, 12, 0, 0, 3",
        "2, 2, false, 12, 1, 0, 6",
    })
    void thePublishedFormIsItsDefinition(
            int heads,
            int blocksPerRow,
            boolean sparse,
            int maxLength,
            int first,
            int diagonal,
            int pairs) {
        var config = published(heads, blocksPerRow, sparse, maxLength, first, diagonal);
        check(config, 20, loops -> loops.published(pairs, sparse, first, diagonal));
    }

    private interface Definition {
        double[][] outputs(MultiResolutionByLoops loops);
    }

    private static void check(
            MultiResolutionAttention.Config config, int length, Definition definition) {
        try (var rig = Rig.exact()) {
            Mixer mixer = build(config, length);
            var store = enlarged(rig, mixer);
            double[] x = Rig.gaussian(1, length * WIDTH);
            double[] found = forward(rig, mixer, x, length);
            double[][] q = linear(rig, store, "query", x);
            double[][] k = linear(rig, store, "key", x);
            double[][] v = linear(rig, store, "value", x);
            double[] expected = new double[x.length];
            int dim = WIDTH / config.heads();
            for (int head = 0; head < config.heads(); head++) {
                var loops =
                        new MultiResolutionByLoops(
                                columns(q, head * dim, dim),
                                columns(k, head * dim, dim),
                                columns(v, head * dim, dim),
                                config.blockSize());
                double[][] o = definition.outputs(loops);
                for (int i = 0; i < length * dim; i++) {
                    expected[i / dim * WIDTH + head * dim + i % dim] = o[i / dim][i % dim];
                }
            }
            assertThat(Decoding.error(found, expected)).isLessThan(ROUNDING);
        }
    }

    /** With the initial, small values: what is added to the sums of weights follows their largest, through which no gradient passes. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void thePublishedFormPassesGradients(boolean sparse) {
        try (var rig = Rig.exact()) {
            int length = 12;
            Mixer mixer = build(published(2, 1, sparse, 0, 0, 1), length);
            var store = rig.parameters(mixer);
            Tensor x = rig.leaf(Rig.gaussian(2, 2 * length * WIDTH), 2, length, WIDTH);
            List<Tensor> inputs = new ArrayList<>(store.named().values());
            inputs.add(x);
            Gradients.check(rig, inputs, tape -> mixer.forward(tape, x));
        }
    }

    /** Over more than two blocks, so that some are chosen and others pooled. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theCausalFormPassesGradientsThroughBothResolutions(boolean sparse) {
        try (var rig = Rig.exact()) {
            int length = 14;
            Mixer mixer = build(causal(2, 1, 3, sparse), length);
            var store = enlarged(rig, mixer);
            Tensor x = rig.leaf(Rig.gaussian(2, 2 * length * WIDTH), 2, length, WIDTH);
            List<Tensor> inputs = new ArrayList<>(store.named().values());
            inputs.add(x);
            Gradients.check(rig, inputs, tape -> mixer.forward(tape, x));
        }
    }

    @Test
    void thePublishedFormRefusesWhatItCannotDo() {
        assertThatThrownBy(() -> build(published(1, 1, false, 3, 0, 0), 8))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("max_length 3 has no whole block of 4");
        try (var rig = Rig.exact()) {
            Mixer mixer = build(published(1, 1, false, 8, 0, 0), 8);
            rig.parameters(mixer);
            assertThat(mixer.causal()).isFalse();
            assertThat(mixer.publishedStateSize(8)).isZero();
            assertThatThrownBy(() -> forward(rig, mixer, Rig.gaussian(1, 7 * WIDTH), 7))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("whole blocks of 4")
                    .hasMessageContaining("try a length of 8");
            assertThatThrownBy(() ->
                            Decoding.decode(
                                    rig,
                                    mixer::extend,
                                    Rig.gaussian(1, 8 * MixerContracts.WIDTH),
                                    8,
                                    List.of()))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("causal=true");
        }
    }

    @Test
    void wrongOptionsAreNamed() {
        assertThatThrownBy(() -> causal(0, 1, 4, false)).hasMessageContaining("--heads 0");
        assertThatThrownBy(() -> causal(1, 0, 4, false)).hasMessageContaining("blocks_per_row 0");
        assertThatThrownBy(() -> causal(1, 1, 0, false)).hasMessageContaining("block_size 0");
        assertThatThrownBy(() -> published(1, 1, false, 8, -1, 0))
                .hasMessageContaining("first_blocks -1");
        for (int[] own : new int[][] {{64, 0, 0}, {0, 1, 0}, {0, 0, 1}}) {
            assertThatThrownBy(() ->
                            new MultiResolutionAttention.Config(
                                    1, 1, 4, false, true, own[0], own[1], own[2]))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("causal=false");
        }
        assertThatThrownBy(() -> causal(5, 1, 4, false).check(WIDTH))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("--heads 5");
    }

    private static Mixer build(MixerConfig config, int length) {
        return config.build(new Layer(0, 2, WIDTH, length), new Init(1, 2));
    }

    /** So large that selections and weights differ. */
    private static ParameterStore enlarged(Rig rig, Mixer mixer) {
        var store = rig.parameters(mixer);
        MixerContracts.enlarge(rig, store);
        return store;
    }

    private static double[] forward(Rig rig, Mixer mixer, double[] x, int length) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(mixer.forward(rig.tape(), rig.leaf(x, 1, length, WIDTH)));
    }

    private static double[][] linear(Rig rig, ParameterStore store, String name, double[] x) {
        double[] weight = rig.values(store.named().get(name + ".weight"));
        double[] bias = rig.values(store.named().get(name + ".bias"));
        double[][] y = new double[x.length / WIDTH][WIDTH];
        for (int t = 0; t < y.length; t++) {
            for (int out = 0; out < WIDTH; out++) {
                y[t][out] = bias[out];
                for (int in = 0; in < WIDTH; in++) {
                    y[t][out] += weight[out * WIDTH + in] * x[t * WIDTH + in];
                }
            }
        }
        return y;
    }

    private static double[][] columns(double[][] x, int first, int count) {
        double[][] some = new double[x.length][count];
        for (int t = 0; t < x.length; t++) {
            System.arraycopy(x[t], first, some[t], 0, count);
        }
        return some;
    }
}
