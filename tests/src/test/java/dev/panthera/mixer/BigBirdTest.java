package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.io.SafetensorsFile;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Goldens;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** BigBird's set of keys, its attention to them against the formula, and its random pairs. */
class BigBirdTest {

    private static final int WIDTH = MixerContracts.WIDTH;
    private static final int LENGTH = 40;

    /** The kernel takes 1 / sqrt(head_dim) in single precision, on the double device too. */
    private static final double SCALE_ROUNDING = 1e-6;

    private static BigBird build(int heads, int block, long seed) {
        return new BigBird.Config(heads, block, seed, true)
                .build(new Layer(1, 2, WIDTH, LENGTH), new Init(1, 2));
    }

    /** Fifteen pairs anywhere, so that many rows have several keys that nothing else lets them see. */
    private static RandomPairs manyPairs() {
        double[] draws = Rig.gaussian(3, 60);
        int[] rows = new int[30];
        int[] columns = new int[30];
        for (int i = 0; i < 30; i++) {
            rows[i] = (int) (Math.abs(draws[i]) * 1000) % (LENGTH - 1);
            columns[i] = (int) (Math.abs(draws[i + 30]) * 1000) % (LENGTH - 1);
        }
        return RandomPairs.Given.of(rows, columns);
    }

    private static boolean sees(BigBird mixer, int t, int s) {
        int block = mixer.blockSize();
        return s <= t
                && (t - s <= 3 * block
                        || s < 2 * block
                        || mixer.pairs().keys(t).anyMatch(key -> key == s));
    }

    @ParameterizedTest
    @CsvSource({"1, 1, false", "2, 2, false", "4, 1, true", "1, 2, true", "2, 20, false"})
    void outputsAreThoseOfTheFormula(int heads, int block, boolean many) {
        try (var rig = Rig.exact()) {
            BigBird drawn = build(heads, block, 5);
            BigBird mixer = many ? drawn.seeing(manyPairs()) : drawn;
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            double[] x = Rig.gaussian(1, LENGTH * WIDTH);
            double[] expected =
                    PlainAttention.mix(
                            rig,
                            store,
                            x,
                            heads,
                            (t, s, query, key) ->
                                    sees(mixer, t, s) ? PlainAttention.softmax(query, key) : 0);
            rig.tape().begin(Tape.Mode.EVALUATION);
            double[] found = rig.values(mixer.forward(rig.tape(), rig.leaf(x, 1, LENGTH, WIDTH)));
            assertThat(Decoding.error(found, expected)).isLessThan(SCALE_ROUNDING);
            double[] decoded =
                    Decoding.decode(rig, mixer::extend, x, LENGTH, List.of(11, 1, 1, 17));
            assertThat(Decoding.error(decoded, found)).isLessThan(1e-12);
        }
    }

    @Test
    void gradientsPassToKeysSeenAtRandom() {
        int length = 12;
        try (var rig = Rig.exact()) {
            int[] rows = {7, 9, 10};
            int[] columns = {2, 4, 3};
            BigBird mixer = build(2, 1, 0).seeing(RandomPairs.Given.of(rows, columns));
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            Tensor x = rig.leaf(Rig.gaussian(2, 2 * length * WIDTH), 2, length, WIDTH);
            List<Tensor> inputs = new ArrayList<>(store.named().values());
            inputs.add(x);
            Gradients.check(rig, inputs, tape -> mixer.forward(tape, x));
        }
    }

    /** The recorded draws let queries see exactly the keys that the recorded mask does not hide. */
    @Test
    void theKeysOfRecordedDrawsAreThoseOfTheRecordedMask() {
        var golden = SafetensorsFile.read(Goldens.folder("mixers").resolve("bigbird.safetensors"));
        double[] mask = golden.tensor("aux.additive_mask").toDoubles();
        int length = (int) Math.sqrt(mask.length);
        BigBird mixer =
                build(1, 2, 0)
                        .seeing(
                                RandomPairs.Given.of(
                                        golden.tensor("aux.rand_rows").toInts(),
                                        golden.tensor("aux.rand_cols").toInts()));
        for (int t = 0; t < length; t++) {
            for (int s = 0; s < length; s++) {
                assertThat(sees(mixer, t, s))
                        .as("query %d, key %d", t, s)
                        .isEqualTo(mask[t * length + s] == 0);
            }
        }
    }

    /** What the expectation of the original's {@code count} draws is, of which it keeps those with row > column. */
    @ParameterizedTest
    @CsvSource({"3, 64", "24, 64", "100, 40"})
    void asManyPairsAreDrawnAsInTheOriginal(int count, int length) {
        int seeds = 400;
        long total = 0;
        for (int seed = 0; seed < seeds; seed++) {
            var pairs = new RandomPairs.Drawn(seed, 0, count, length);
            for (int row = 0; row < length; row++) {
                int[] columns = pairs.columns(row).toArray();
                int at = row;
                assertThat(Arrays.stream(columns)).allMatch(column -> column >= 0 && column < at);
                assertThat(pairs.keys(row).count()).isLessThanOrEqualTo(pairs.most());
                total += columns.length;
            }
        }
        double expected = count * (length - 1) / (2.0 * length);
        double standardError = Math.sqrt(expected / seeds);
        assertThat((double) total / seeds).isCloseTo(expected, within(5 * standardError));
    }

    @Test
    void aPairLetsTwoQueriesSeeTwoKeys() {
        var pairs = RandomPairs.Given.of(new int[] {9, 3, 10}, new int[] {4, 3, 4});
        assertThat(pairs.keys(8)).isEmpty();
        assertThat(pairs.keys(9)).containsExactly(4, 5);
        assertThat(pairs.keys(10)).containsExactly(4, 5);
        assertThat(pairs.keys(11)).containsExactly(4, 5);
        assertThat(pairs.keys(3)).isEmpty();
    }

    @Test
    void seedsAndLayersHavePairsOfTheirOwn() {
        List<List<Integer>> patterns = new ArrayList<>();
        for (int[] of : new int[][] {{0, 0}, {1, 0}, {0, 1}}) {
            var pairs = new RandomPairs.Drawn(of[0], of[1], 24, 64);
            patterns.add(
                    IntStream.range(0, 64)
                            .boxed()
                            .flatMap(t -> pairs.keys(t).map(key -> 64 * t + key).boxed())
                            .toList());
        }
        assertThat(patterns).doesNotHaveDuplicates();
        assertThat(patterns).allMatch(pattern -> pattern.size() > 20);
    }

    /** Every forward pass, in training too, sees the same keys. */
    @Test
    void nothingIsDrawnAgain() {
        try (var rig = Rig.cpu(1)) {
            BigBird mixer = build(1, 1, 3);
            rig.parameters(mixer);
            double[] x = Rig.gaussian(1, LENGTH * WIDTH);
            List<double[]> outputs = new ArrayList<>();
            for (var mode : List.of(Tape.Mode.TRAINING, Tape.Mode.TRAINING, Tape.Mode.EVALUATION)) {
                rig.tape().begin(mode);
                outputs.add(rig.values(mixer.forward(rig.tape(), rig.leaf(x, 1, LENGTH, WIDTH))));
            }
            assertThat(outputs.stream().map(Arrays::toString).distinct()).hasSize(1);
        }
    }

    @Test
    void statesAreCountedBothWays() {
        BigBird mixer = build(2, 3, 0);
        assertThat(mixer.stateSize(LENGTH)).isEqualTo(2 * LENGTH * WIDTH);
        assertThat(mixer.publishedStateSize(LENGTH)).isEqualTo(14 * 3 * WIDTH);
    }

    @Test
    void impossibleOptionsAreRefused() {
        assertThatThrownBy(() -> new BigBird.Config(1, 0))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("block_size 0");
        assertThatThrownBy(() -> new BigBird.Config(1, Integer.MAX_VALUE))
                .isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new BigBird.Config(0, 8)).isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new BigBird.Config(3, 8).check(WIDTH))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("heads must divide the width");
    }
}
