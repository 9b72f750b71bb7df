package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Selected attention and the selective lookups against their definitions, position by position. */
class SelectedAttentionTest {
    private static final int WIDTH = 8;
    private static final int LENGTH = 23;
    private static final int HEADS = 2;
    private static final int BATCH = 2;

    /** The kernel takes 1 / sqrt(head_dim) in single precision, on the double device too. */
    private static final double ROUNDING = 1e-6;

    private static final int[] IDS = ids();

    /** Few tokens, so that most come back, the first half of the second row all the same. */
    private static int[] ids() {
        int[] ids = new int[BATCH * LENGTH];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i >= LENGTH && i < LENGTH + LENGTH / 2 ? 0 : i * i % 11;
        }
        return ids;
    }

    /** A mixer on the double device with an input, and what it computes. */
    private static final class Bench implements AutoCloseable {
        final Rig rig = Rig.exact();
        final Mixer mixer;
        final ParameterStore store;
        final double[] input = Rig.gaussian(2, BATCH * LENGTH * WIDTH);
        final Tensor x = rig.leaf(input, BATCH, LENGTH, WIDTH);

        Bench(MixerConfig config) {
            Mixer built = config.build(new Layer(1, 2, WIDTH, LENGTH), new Init(1, 2));
            store = rig.parameters(built);
            MixerContracts.enlarge(rig, store);
            mixer = built.withTokens(rig.integers(IDS, BATCH, LENGTH));
        }

        double[] forward(Tape.Mode mode) {
            rig.tape().begin(mode);
            return rig.values(mixer.forward(rig.tape(), x));
        }

        double[] parameter(String name) {
            return rig.values(store.named().get(name));
        }

        /** {@code W x + b} of all positions. */
        double[] linear(double[] from, String name, int outputs) {
            double[] weight = parameter(name + ".weight");
            var bias = store.named().get(name + ".bias");
            double[] b = bias == null ? new double[outputs] : rig.values(bias);
            double[] y = new double[from.length / WIDTH * outputs];
            for (int i = 0; i < y.length; i++) {
                y[i] = b[i % outputs];
                for (int c = 0; c < WIDTH; c++) {
                    y[i] += weight[i % outputs * WIDTH + c] * from[i / outputs * WIDTH + c];
                }
            }
            return y;
        }

        /** What full causal attention with the same parameters gives. */
        double[] attention() {
            double[] packed = linear(input, "Wqkv", 3 * WIDTH);
            double[] mixed = new double[input.length];
            int dim = WIDTH / HEADS;
            for (int row = 0; row < BATCH * LENGTH; row++) {
                for (int first = 0; first < WIDTH; first += dim) {
                    double sum = 0;
                    double[] o = new double[dim];
                    for (int s = row / LENGTH * LENGTH; s <= row; s++) {
                        double product = 0;
                        for (int c = first; c < first + dim; c++) {
                            product +=
                                    packed[row * 3 * WIDTH + c] * packed[s * 3 * WIDTH + WIDTH + c];
                        }
                        double weight = Math.exp(product / Math.sqrt(dim));
                        sum += weight;
                        for (int c = 0; c < dim; c++) {
                            o[c] += weight * packed[s * 3 * WIDTH + 2 * WIDTH + first + c];
                        }
                    }
                    for (int c = 0; c < dim; c++) {
                        mixed[row * WIDTH + first + c] = o[c] / sum;
                    }
                }
            }
            return linear(mixed, "out_proj", WIDTH);
        }

        void assertGated(Tape.Mode mode, IntToDoubleFunction gate, boolean skip) {
            double[] attention = attention();
            double[] expected = new double[input.length];
            for (int i = 0; i < expected.length; i++) {
                double f = gate.applyAsDouble(i / WIDTH);
                expected[i] = (f == 0 ? 0 : f * attention[i]) + (skip ? input[i] : 0);
            }
            double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
            assertThat(forward(mode)).containsExactly(expected, within(ROUNDING * largest));
        }

        @Override
        public void close() {
            rig.close();
        }
    }

    private static int places(int k, int length) {
        return k == 0 ? (int) Math.ceil(Math.sqrt(length)) : k;
    }

    /** What trained scores are compared by. */
    private static double[] ranks(double[] scores) {
        return Arrays.stream(scores).map(score -> Math.rint(score * 1024)).toArray();
    }

    /** The definition of the choice: among the k largest up to there, earlier ones first. */
    private static boolean chosen(double[] scores, int row, int k) {
        int rivals = 0;
        int begin = row / LENGTH * LENGTH;
        for (int s = begin; s < row; s++) {
            rivals += scores[s] >= scores[row] ? 1 : 0;
        }
        return scores[row] > Double.NEGATIVE_INFINITY && rivals < places(k, row - begin + 1);
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    private static SelectedAttention.Config selected(SelectionConfig selection, int k) {
        return new SelectedAttention.Config(HEADS, selection, k, 0, true, false);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 5, 100})
    void learnedPositionsAreThoseOfTheLargestScoresSoFar(int k) {
        try (var bench = new Bench(selected(new LearnedSelection.Config(), k))) {
            double[] scores = bench.linear(bench.input, "selecting", 1);
            bench.assertGated(
                    Tape.Mode.EVALUATION,
                    row -> chosen(ranks(scores), row, k) ? sigmoid(scores[row]) : 0,
                    false);
            bench.assertGated(Tape.Mode.TRAINING, row -> sigmoid(scores[row]), false);
        }
        var hard = new LearnedSelection.Config(true, 0, 0, false);
        try (var bench = new Bench(selected(hard, k))) {
            double[] scores = bench.linear(bench.input, "selecting", 1);
            bench.assertGated(
                    Tape.Mode.TRAINING,
                    row -> chosen(ranks(scores), row, k) ? sigmoid(scores[row]) : 0,
                    false);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 4, 100})
    void programmaticPositionsAreThoseWhoseTokenWasThere(int k) {
        double[] earlier = new double[IDS.length];
        double[] scores = new double[IDS.length];
        for (int row = 0; row < IDS.length; row++) {
            for (int s = row / LENGTH * LENGTH; s < row; s++) {
                earlier[row] += IDS[s] == IDS[row] ? 1 : 0;
            }
            scores[row] = earlier[row] == 0 ? Double.NEGATIVE_INFINITY : -earlier[row];
        }
        for (var mode : Tape.Mode.values()) {
            try (var bench = new Bench(selected(new ProgrammaticSelection.Config(true), k))) {
                bench.assertGated(mode, row -> chosen(scores, row, k) ? 1 : 0, false);
            }
            try (var bench = new Bench(selected(new ProgrammaticSelection.Config(false), k))) {
                bench.assertGated(mode, row -> earlier[row] > 0 ? 1 : 0, false);
            }
        }
    }

    @Test
    void fullSelectionIsAttention() {
        var attention = new Attention.Config(HEADS, 0, true, true);
        var full =
                new SelectedAttention.Config(HEADS, new FullSelection.Config(), 1, 0, true, true);
        try (var one = new Bench(attention);
                var other = new Bench(full)) {
            assertThat(other.forward(Tape.Mode.TRAINING))
                    .isEqualTo(one.forward(Tape.Mode.TRAINING));
            assertThat(other.mixer.stateSize(7)).isEqualTo(one.mixer.stateSize(7));
        }
    }

    /** In evaluation the same positions of every sequence, in training others in every sequence and step. */
    @Test
    void randomPositionsAreDrawnAnewInTraining() {
        try (var bench = new Bench(selected(new RandomSelection.Config(), 5))) {
            boolean[] first = attending(bench.forward(Tape.Mode.EVALUATION));
            assertThat(Arrays.copyOfRange(first, 0, LENGTH))
                    .isEqualTo(Arrays.copyOfRange(first, LENGTH, 2 * LENGTH))
                    .contains(true, false);
            bench.rig.random().write(bench.rig.stream(), 1, 1);
            assertThat(attending(bench.forward(Tape.Mode.EVALUATION))).isEqualTo(first);
            boolean[] trained = attending(bench.forward(Tape.Mode.TRAINING));
            assertThat(attending(bench.forward(Tape.Mode.TRAINING))).isEqualTo(trained);
            assertThat(Arrays.copyOfRange(trained, 0, LENGTH))
                    .isNotEqualTo(Arrays.copyOfRange(trained, LENGTH, 2 * LENGTH));
            bench.rig.random().write(bench.rig.stream(), 1, 2);
            assertThat(attending(bench.forward(Tape.Mode.TRAINING))).isNotEqualTo(trained);
        }
    }

    /** More positions than the model has been built for are drawn once, as all others are. */
    @Test
    void aStepBeyondTheModelsLengthAllocatesNothing() {
        try (var rig = Rig.cpu(1);
                var state = Decoding.empty(rig, BATCH, LENGTH)) {
            Mixer mixer =
                    selected(new RandomSelection.Config(), 3)
                            .build(new Layer(0, 1, WIDTH, 4), new Init(1, 1));
            rig.parameters(mixer);
            double[] input = Rig.gaussian(3, BATCH * WIDTH);
            for (int t = 0; t < LENGTH; t++) {
                long before = rig.device().allocations();
                Decoding.step(rig, mixer::extend, state, input, 1);
                if (t > 1) {
                    assertThat(rig.device().allocations()).isEqualTo(before);
                }
            }
        }
    }

    private static boolean[] attending(double[] outputs) {
        boolean[] attending = new boolean[outputs.length / WIDTH];
        for (int i = 0; i < outputs.length; i++) {
            attending[i / WIDTH] |= outputs[i] != 0;
        }
        return attending;
    }

    @Test
    void drawsAreUniform() {
        int count = 20_000;
        try (var rig = Rig.cpu(2)) {
            rig.tape().begin(Tape.Mode.TRAINING);
            double[] drawn = rig.values(Draws.uniform(rig.tape(), 3, 2, count / 2));
            int[] tenths = new int[10];
            for (double u : drawn) {
                tenths[(int) Math.floor(10 * u)]++;
            }
            for (int tenth : tenths) {
                assertThat(tenth).isBetween(count / 10 - 200, count / 10 + 200);
            }
            assertThat(Arrays.stream(drawn).distinct().count()).isGreaterThan(count - 50);
            double product = 0;
            for (int i = 1; i < count; i++) {
                product += (drawn[i] - 0.5) * (drawn[i - 1] - 0.5);
            }
            assertThat(product / count).isCloseTo(0, within(3e-3));
        }
    }

    /** {@code penalty * max(mean f - k / length, 0)}, in training alone. */
    @Test
    void theMeanGateIsPenalised() {
        double penalty = 0.7;
        for (int k : new int[] {0, 2, LENGTH}) {
            var learned = new LearnedSelection.Config(false, penalty, 0, true);
            try (var bench = new Bench(selected(learned, k))) {
                double[] scores = bench.linear(bench.input, "selecting", 1);
                double mean =
                        Arrays.stream(scores)
                                .map(SelectedAttentionTest::sigmoid)
                                .average()
                                .orElseThrow();
                double share = k == 0 ? 1 / Math.sqrt(LENGTH) : (double) k / LENGTH;
                bench.forward(Tape.Mode.TRAINING);
                assertThat(bench.rig.values(auxiliary(bench.rig.tape()))[0])
                        .isCloseTo(penalty * Math.max(0, mean - share), within(1e-7));
                bench.forward(Tape.Mode.EVALUATION);
                assertThat(bench.rig.values(auxiliary(bench.rig.tape()))[0]).isZero();
            }
        }
    }

    private static Tensor auxiliary(Tape tape) {
        return tape.withAuxiliaryLosses(tape.constant(0, 1));
    }

    @Test
    void thePenaltyHasAGradient() {
        var learned = new LearnedSelection.Config(true, 0.7, 0.3, true);
        try (var bench = new Bench(selected(learned, 1))) {
            List<Tensor> inputs = new ArrayList<>();
            bench.store
                    .named()
                    .forEach((name, tensor) -> {
                        if (name.startsWith("selecting")) {
                            inputs.add(tensor);
                        }
                    });
            inputs.add(bench.x);
            assertThat(inputs).hasSize(3);
            Gradients.check(
                    bench.rig,
                    inputs,
                    tape -> {
                        bench.mixer.forward(tape, bench.x);
                        return auxiliary(tape);
                    });
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 6})
    void selectiveLookupsShareASoftmaxOverThePositionsSoFar(int k) {
        try (var bench = new Bench(new SelectiveLookups.Config(HEADS, k, 0, true, true))) {
            double[] scores = bench.linear(bench.input, "selecting", 1);
            IntToDoubleFunction gate =
                    row -> {
                        double sum = 0;
                        for (int s = row / LENGTH * LENGTH; s <= row; s++) {
                            sum += Math.exp(scores[s]);
                        }
                        return Math.exp(scores[row]) / sum;
                    };
            bench.assertGated(Tape.Mode.TRAINING, gate, true);
            bench.assertGated(
                    Tape.Mode.EVALUATION,
                    row -> chosen(ranks(scores), row, k) ? gate.applyAsDouble(row) : 0,
                    true);
        }
    }

    @Test
    void sigmoidLookupsGateEachPosition() {
        try (var bench = new Bench(new SigmoidLookups.Config(HEADS, 3, 0, false, 1, true))) {
            double[] scores = bench.linear(bench.input, "selecting", 1);
            bench.assertGated(Tape.Mode.TRAINING, row -> sigmoid(scores[row]), true);
            bench.assertGated(
                    Tape.Mode.EVALUATION,
                    row -> chosen(ranks(scores), row, 3) ? sigmoid(scores[row]) : 0,
                    true);
        }
    }

    @Test
    void smaTakesTheSecondOfTwoProbabilities() {
        try (var bench = new Bench(new Sma.Config(HEADS, 4, 0, true, 0.3, true))) {
            double[] logits = bench.linear(bench.input, "selection_proj", 2);
            double temperature = bench.parameter("temperature")[0];
            double[] scores = new double[BATCH * LENGTH];
            double[] gates = new double[scores.length];
            for (int row = 0; row < scores.length; row++) {
                scores[row] = (logits[2 * row + 1] - logits[2 * row]) / temperature;
                double against = Math.exp(logits[2 * row] / temperature);
                double in = Math.exp(logits[2 * row + 1] / temperature);
                gates[row] = in / (against + in);
            }
            bench.assertGated(Tape.Mode.TRAINING, row -> gates[row], true);
            bench.assertGated(
                    Tape.Mode.EVALUATION,
                    row -> chosen(ranks(scores), row, 4) ? gates[row] : 0,
                    true);
        }
    }

    /** The published form takes the largest of the whole sequence. */
    @Test
    void asPublishedTheWholeSequenceIsSelectedFrom() {
        try (var bench = new Bench(new SigmoidLookups.Config(HEADS, 0, 0, true, 0, false))) {
            assertThat(bench.mixer.causal()).isFalse();
            double[] scores = bench.linear(bench.input, "selecting", 1);
            bench.assertGated(
                    Tape.Mode.EVALUATION,
                    row -> {
                        int begin = row / LENGTH * LENGTH;
                        int larger = 0;
                        for (int s = begin; s < begin + LENGTH; s++) {
                            larger += scores[s] > scores[row] ? 1 : 0;
                        }
                        return larger < places(0, LENGTH) ? sigmoid(scores[row]) : 0;
                    },
                    true);
            assertThatThrownBy(() ->
                            bench.mixer.extend(
                                    bench.rig.tape(),
                                    bench.x,
                                    Decoding.empty(bench.rig, BATCH, LENGTH)))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("causal=true");
        }
    }

    /** Of equal scores the earlier comes first, whatever rounding makes of them in another layer. */
    @Test
    void repeatedInputsAreChosenAlikeInAnyDivision() {
        int length = 60;
        int distinct = 5;
        double[] tokens = Rig.gaussian(4, distinct * WIDTH);
        double[] input = new double[BATCH * length * WIDTH];
        for (int i = 0; i < input.length; i++) {
            int row = i / WIDTH;
            input[i] = tokens[row * row % distinct * WIDTH + i % WIDTH];
        }
        var learned = new LearnedSelection.Config();
        List<MixerConfig> configs =
                List.of(
                        selected(learned, 3),
                        selected(learned, 0),
                        new SelectiveLookups.Config(HEADS, 3, 0, true, true),
                        new Sma.Config(HEADS, 3, 0, true, 0.3, true));
        double[] rounded = input.clone();
        for (int i = 0; i < input.length; i++) {
            rounded[i] *= 1 + (i * 7 % 5 - 2) * 1e-7;
        }
        for (MixerConfig config : configs) {
            try (var rig = Rig.cpu(2)) {
                Mixer mixer = config.build(new Layer(0, 2, WIDTH, length), new Init(1, 2));
                MixerContracts.enlarge(rig, rig.parameters(mixer));
                rig.tape().begin(Tape.Mode.EVALUATION);
                Tensor x = rig.leaf(input, BATCH, length, WIDTH);
                double[] whole = rig.values(mixer.forward(rig.tape(), x));
                for (var division : List.of(List.<Integer>of(), List.of(17, 1, 2, 21))) {
                    double[] decoded =
                            Decoding.decode(rig, mixer::extend, rounded, length, division);
                    assertThat(Decoding.error(decoded, whole)).isLessThan(1e-5);
                }
            }
        }
    }

    @Test
    void whatCannotBeIsRefused() {
        assertThatThrownBy(() -> selected(new FullSelection.Config(), -1))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith("selection: k -1");
        assertThatThrownBy(() -> new SelectiveLookups.Config(1, -2, 0, true, true))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith("selection: k -2");
        assertThatThrownBy(() -> new LearnedSelection.Config(false, -1, 0, true))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("penalty -1.0");
        assertThatThrownBy(() -> new LearnedSelection.Config(false, 0, Double.NaN, true))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("noise NaN");
        assertThatThrownBy(() -> new SigmoidLookups.Config(1, 0, 0, true, -1, true))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("penalty -1.0");
        assertThatThrownBy(() -> new Sma.Config(1, 0, 0, true, 0, true))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("alpha 0.0");
        assertThatThrownBy(() -> selected(new FullSelection.Config(), 0).check(9))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith("--heads 2");
    }
}
