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
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
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
    private static RandomKeys manyPairs() {
        double[] draws = Rig.gaussian(3, 60);
        int[] rows = new int[30];
        int[] columns = new int[30];
        for (int i = 0; i < 30; i++) {
            rows[i] = (int) (Math.abs(draws[i]) * 1000) % (LENGTH - 1);
            columns[i] = (int) (Math.abs(draws[i + 30]) * 1000) % (LENGTH - 1);
        }
        return RandomKeys.ofPairs(rows, columns);
    }

    private static boolean sees(BigBird mixer, int t, int s) {
        int block = mixer.blockSize();
        return s <= t && (t - s <= 3 * block || s < 2 * block || mixer.random().sees(t, s));
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
            BigBird mixer = build(2, 1, 0).seeing(RandomKeys.ofPairs(rows, columns));
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
                                RandomKeys.ofPairs(
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

    /** Half of the draws have row > column, and each of those lets two queries see two keys, seldom the same ones. */
    @Test
    void aModelDrawsAsManyPairsAsTheOriginal() {
        int seeds = 200;
        int length = 1000;
        int draws = 3 * 40;
        long total = 0;
        for (int seed = 0; seed < seeds; seed++) {
            var random = RandomKeys.drawn(seed, 0, draws, length);
            random.byQuery()
                    .forEach((query, keys) ->
                            assertThat(keys.first() >= 0 && keys.last() <= query).isTrue());
            total += random.byQuery().values().stream().mapToInt(SortedSet::size).sum();
        }
        assertThat((double) total / seeds).isCloseTo(4 * draws / 2.0, within(8.0));
    }

    @Test
    void aPairLetsTwoQueriesSeeTwoKeys() {
        var random = RandomKeys.ofPairs(new int[] {9, 3, 10, 2}, new int[] {4, 3, 4, 5});
        assertThat(random.byQuery())
                .containsOnlyKeys(9, 10, 11)
                .allSatisfy((query, keys) -> assertThat(keys).containsExactly(4, 5));
        assertThat(random.most()).isEqualTo(2);
        assertThat(random.sees(10, 5)).isTrue();
        assertThat(random.sees(10, 6)).isFalse();
        assertThat(random.sees(8, 4)).isFalse();
    }

    @Test
    void seedsAndLayersHavePairsOfTheirOwn() {
        Set<RandomKeys> patterns = new HashSet<>();
        for (int layer = 0; layer < 2; layer++) {
            for (long seed = 0; seed < 2; seed++) {
                var config = new BigBird.Config(1, 4, seed, true);
                patterns.add(
                        config.build(new Layer(layer, 2, WIDTH, LENGTH), new Init(1, 2)).random());
            }
        }
        assertThat(patterns).hasSize(4).allMatch(random -> random.most() > 0);
    }

    /** Nothing is drawn where the window has everything. */
    @Test
    void aWindowOverAllNeedsNoPairs() {
        assertThat(build(1, LENGTH, 0).random().byQuery()).isEmpty();
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

    /** Window, first keys, and the keys that a query sees at random from further away. */
    @Test
    void whatLaterQueriesDoNotSeeIsNotKept() {
        var random = RandomKeys.ofPairs(new int[] {9, 12, 30}, new int[] {7, 5, 6});
        BigBird mixer = build(2, 1, 0).seeing(random);
        assertThat(mixer.stateSize(3)).isEqualTo(2 * 3 * WIDTH);
        assertThat(mixer.stateSize(4)).isEqualTo(2 * 4 * WIDTH);
        assertThat(mixer.stateSize(5)).isEqualTo(2 * 5 * WIDTH);
        assertThat(mixer.stateSize(12)).as("the first two").isEqualTo(2 * 6 * WIDTH);
        assertThat(mixer.stateSize(14)).as("5 and 6 for 12, 13").isEqualTo(2 * 8 * WIDTH);
        assertThat(mixer.stateSize(LENGTH)).as("6 and 7 for 30").isEqualTo(2 * 9 * WIDTH);
        assertThat(mixer.publishedStateSize(LENGTH)).isEqualTo(14 * WIDTH);
    }

    /** A prompt, steps and chunks with a state of exactly that size, whichever keys it has to keep. */
    @Test
    void decodingKeepsTheKeysThatAreSeenAgain() {
        for (int block = 1; block <= 3; block++) {
            try (var rig = Rig.exact()) {
                BigBird mixer = build(2, block, 0).seeing(manyPairs());
                MixerContracts.enlarge(rig, rig.parameters(mixer));
                double[] x = Rig.gaussian(1, 2 * LENGTH * WIDTH);
                rig.tape().begin(Tape.Mode.EVALUATION);
                double[] expected =
                        rig.values(mixer.forward(rig.tape(), rig.leaf(x, 2, LENGTH, WIDTH)));
                for (List<Integer> division :
                        List.of(
                                List.<Integer>of(),
                                List.of(LENGTH),
                                List.of(1, 2, 9, 20),
                                List.of(25, 1, 1, 10))) {
                    double[] decoded = Decoding.decode(rig, mixer::extend, x, LENGTH, division);
                    assertThat(Decoding.error(decoded, expected)).isLessThan(1e-12);
                }
            }
        }
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
