package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.io.SafetensorsFile;
import dev.panthera.nn.Init;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Goldens;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Native sparse attention against its definition, in loops. What every mixer must do is in {@link MixerContractTest}. */
class NativeSparseAttentionTest {
    private static final int WIDTH = 8;
    private static final int BATCH = 2;

    /** Of the largest output, in double precision: the parameters are single. */
    private static final double ROUNDING = 1e-6;

    /** Each option at a value of its own, causal and as published. */
    static Stream<NativeSparseAttention.Config> configs() {
        return Stream.of(true, false)
                .flatMap(causal ->
                        Stream.of(
                                new NativeSparseAttention.Config(
                                        2, 0, 4, 3, 2, true, 1, 1, true, causal),
                                new NativeSparseAttention.Config(
                                        4, 2, 1, 2, 1, true, 2, 0.5, false, causal),
                                new NativeSparseAttention.Config(
                                        4, 1, 6, 4, 1, false, 1, 2, true, causal),
                                new NativeSparseAttention.Config(
                                        4, 2, 3, 5, 0, true, 3, 1, true, causal),
                                new NativeSparseAttention.Config(
                                        1, 1, 100, 1, 50, true, 1, 1, true, causal)));
    }

    /** Lengths below a block, of whole blocks and windows, and between. */
    @ParameterizedTest
    @MethodSource("configs")
    void isWhatItsDefinitionSays(NativeSparseAttention.Config config) {
        for (int length : new int[] {1, 2, 7, 12, 31}) {
            try (var rig = Rig.exact()) {
                Mixer mixer = build(config, length);
                var store = rig.parameters(mixer);
                MixerContracts.enlarge(rig, store);
                var byLoops = new NativeSparseAttentionByLoops(values(rig, store), config, WIDTH);
                double[] x = Rig.gaussian(7, BATCH * length * WIDTH);
                double[] expected = eachSequence(byLoops, x, length * WIDTH);
                rig.tape().begin(Tape.Mode.EVALUATION);
                Tensor input = rig.leaf(x, BATCH, length, WIDTH);
                assertClose(rig.values(mixer.forward(rig.tape(), input)), expected, ROUNDING);
            }
        }
    }

    private static double[] eachSequence(
            NativeSparseAttentionByLoops byLoops, double[] x, int size) {
        double[] y = new double[x.length];
        for (int first = 0; first < x.length; first += size) {
            double[] sequence = byLoops.apply(Arrays.copyOfRange(x, first, first + size));
            System.arraycopy(sequence, 0, y, first, size);
        }
        return y;
    }

    /** The definition itself: the loops give what the original's module gave. */
    @ParameterizedTest
    @CsvSource({
        "nsa,            2, 2, 5, 2, true,  false",
        "nsa_causal_gqa, 4, 2, 4, 1, true,  true",
        "nsa_noselect,   2, 2, 5, 0, false, true"
    })
    void theDefinitionIsTheOriginals(
            String golden,
            int heads,
            int keyHeads,
            int window,
            int selected,
            boolean norm,
            boolean causal) {
        var config =
                new NativeSparseAttention.Config(
                        heads, keyHeads, window, 4, selected, true, 1, 1, norm, causal);
        var file = SafetensorsFile.read(Goldens.folder("mixers").resolve(golden + ".safetensors"));
        Map<String, double[]> parameters =
                file.tensors().keySet().stream()
                        .filter(name -> name.startsWith("param."))
                        .collect(
                                Collectors.toMap(
                                        name -> name.substring("param.".length()),
                                        name -> file.tensor(name).toDoubles()));
        long[] shape = file.tensor("input").shape();
        int width = (int) shape[2];
        var byLoops = new NativeSparseAttentionByLoops(parameters, config, width);
        double[] found =
                eachSequence(byLoops, file.tensor("input").toDoubles(), (int) shape[1] * width);
        assertClose(found, file.tensor("output").toDoubles(), ROUNDING);
    }

    /** Over several blocks and windows, in all branches. */
    @ParameterizedTest
    @MethodSource("configs")
    void gradientsAreThoseOfFiniteDifferences(NativeSparseAttention.Config config) {
        int length = 11;
        try (var rig = Rig.exact()) {
            Mixer mixer = build(config, length);
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            Tensor x = rig.leaf(Rig.gaussian(8, BATCH * length * WIDTH), BATCH, length, WIDTH);
            List<Tensor> inputs =
                    Stream.concat(
                                    Stream.of(x),
                                    store.named().values().stream()
                                            .filter(Tensor::requiresGradient))
                            .toList();
            Gradients.check(rig, inputs, tape -> mixer.forward(tape, x));
        }
    }

    /** Without the compressed branch: a query sees its own block and window, and one block more for each head. */
    @Test
    void whatAQueryDoesNotSeeChangesNothing() {
        var config = new NativeSparseAttention.Config(2, 2, 2, 1);
        int length = 24;
        int query = 23;
        try (var rig = Rig.exact()) {
            Mixer mixer = build(config, length);
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            silence(rig, store.named().get("to_strategy_combine.0.weight"));
            rig.stream()
                    .copyToDevice(
                            store.named().get("to_strategy_combine.0.bias").values(),
                            new double[] {-1000, 1000, 1000, -1000, 1000, 1000});
            double[] x = Rig.gaussian(9, length * WIDTH);
            double[] before = lastRow(rig, mixer, x, query);
            int reached = 0;
            for (int s = 0; s < length; s++) {
                double[] changed = x.clone();
                changed[s * WIDTH] += 1e-4;
                if (!Arrays.equals(lastRow(rig, mixer, changed, query), before)) {
                    reached++;
                }
            }
            // Two of a chosen block for each of two heads, and the own block, which is the window
            // too.
            assertThat(reached).isBetween(4, 6);
        }
    }

    private static void silence(Rig rig, Tensor parameter) {
        rig.stream().zero(parameter.values());
    }

    private static double[] lastRow(Rig rig, Mixer mixer, double[] x, int row) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        Tensor input = rig.leaf(x, 1, x.length / WIDTH, WIDTH);
        double[] y = rig.values(mixer.forward(rig.tape(), input));
        return Arrays.copyOfRange(y, row * WIDTH, (row + 1) * WIDTH);
    }

    @Test
    void thePublishedFormLooksAheadAndSoCannotDecode() {
        var config = new NativeSparseAttention.Config(2, 0, 4, 3, 2, true, 1, 1, true, false);
        assertThat(config.causal()).isFalse();
        try (var rig = Rig.cpu(1)) {
            Mixer mixer = build(config, 6);
            rig.parameters(mixer);
            assertThat(mixer.causal()).isFalse();
            double[] x = Rig.gaussian(9, 6 * WIDTH);
            double[] changed = x.clone();
            changed[3 * WIDTH]++;
            assertThat(lastRow(rig, mixer, changed, 0)).isNotEqualTo(lastRow(rig, mixer, x, 0));
            try (var state = Decoding.empty(rig, 1, 6)) {
                assertThatThrownBy(() ->
                                Decoding.step(rig, mixer::extend, state, new double[WIDTH], 1))
                        .isInstanceOf(UserException.class)
                        .hasMessageContaining("causal=true");
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0, 4, 2, 1, 1, 1, --heads 0",
        "4, 3, 4, 2, 1, 1, 1, key_heads 3",
        "4, -1, 4, 2, 1, 1, 1, key_heads -1",
        "2, 0, 0, 2, 1, 1, 1, --window 0",
        "2, 0, 4, 0, 1, 1, 1, block_size 0",
        "2, 0, 4, 2, -1, 1, 1, selected_blocks -1",
        "2, 0, 4, 2, 1, 0, 1, memories 0",
        "2, 0, 4, 2, 1, 1, 0, expansion 0",
        "2, 0, 4, 2, 1, 1, NaN, expansion NaN",
        "2, 0, 4, 2, 1, 1, 0.01, 8 channels are compressed by 0 hidden ones",
        "3, 0, 4, 2, 1, 1, 1, --heads 3",
        "8, 0, 4, 2, 1, 1, 1, each has 1 channels"
    })
    void wrongOptionsAreRefused(
            int heads,
            int keyHeads,
            int window,
            int blockSize,
            int selected,
            int memories,
            double expansion,
            String message) {
        assertThatThrownBy(() ->
                        new NativeSparseAttention.Config(
                                        heads, keyHeads, window, blockSize, selected, true,
                                        memories, expansion, true, true)
                                .check(WIDTH))
                .isInstanceOf(UserException.class)
                .hasMessageContaining(message);
    }

    private static void assertClose(double[] found, double[] expected, double relative) {
        double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
        assertThat(found).containsExactly(expected, within(relative * largest));
    }

    private static Map<String, double[]> values(Rig rig, ParameterStore store) {
        return store.named().entrySet().stream()
                .collect(
                        Collectors.toMap(Map.Entry::getKey, entry -> rig.values(entry.getValue())));
    }

    private static Mixer build(NativeSparseAttention.Config config, int length) {
        return config.build(new Layer(0, 1, WIDTH, length), new Init(1, 1));
    }
}
