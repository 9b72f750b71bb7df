package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Nyström attention by its formulas, and what only one of its two forms has. */
class NystromTest {
    private static final int WIDTH = 8;
    private static final int HEADS = 2;
    private static final int HEAD_DIM = WIDTH / HEADS;
    private static final PublishedNystrom.Options EXACT =
            new PublishedNystrom.Options(false, 0, false, 0);

    private static Nystrom.Config causal(int landmarks, double ridge) {
        return new Nystrom.Config(HEADS, landmarks, ridge, 0, true, PublishedNystrom.Options.USUAL);
    }

    private static Nystrom.Config published(
            int heads, int landmarks, PublishedNystrom.Options options) {
        return new Nystrom.Config(heads, landmarks, 0, 0, false, options);
    }

    private static Nystrom build(Rig rig, Nystrom.Config config, int length) {
        var mixer = config.build(new Layer(0, 1, WIDTH, length), new Init(1, 1));
        MixerContracts.enlarge(rig, rig.parameters(mixer));
        return mixer;
    }

    private static double[] forward(Rig rig, Mixer mixer, double[] input, int length) {
        Tensor x = rig.leaf(input, input.length / length / WIDTH, length, WIDTH);
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(mixer.forward(rig.tape(), x));
    }

    /** The rows of an input, times a weight's rows {@code [from, from + WIDTH)}. */
    private static double[][] projected(Rig rig, Linear linear, double[][] x, int from) {
        double[] weight = rig.values(linear.weight());
        return Arrays.stream(x)
                .map(row ->
                        IntStream.range(from, from + WIDTH)
                                .mapToDouble(
                                        out -> sum(WIDTH, in -> weight[out * WIDTH + in] * row[in]))
                                .toArray())
                .toArray(double[][]::new);
    }

    private static double sum(int count, IntToDoubleFunction term) {
        return IntStream.range(0, count).mapToDouble(term).sum();
    }

    private static double[][] rows(double[] values) {
        return IntStream.range(0, values.length / WIDTH)
                .mapToObj(i -> Arrays.copyOfRange(values, i * WIDTH, (i + 1) * WIDTH))
                .toArray(double[][]::new);
    }

    private static double score(double[] q, double[] k, int head) {
        return sum(HEAD_DIM, c -> q[head * HEAD_DIM + c] * k[head * HEAD_DIM + c])
                / Math.sqrt(HEAD_DIM);
    }

    private static double[] softmax(int count, IntToDoubleFunction score) {
        double[] e =
                IntStream.range(0, count)
                        .mapToDouble(i -> Math.exp(score.applyAsDouble(i)))
                        .toArray();
        double sum = Arrays.stream(e).sum();
        return Arrays.stream(e).map(x -> x / sum).toArray();
    }

    private static double[][] means(double[][] x, int segment) {
        return IntStream.range(0, x.length / segment)
                .mapToObj(j ->
                        IntStream.range(0, WIDTH)
                                .mapToDouble(
                                        c -> sum(segment, i -> x[j * segment + i][c]) / segment)
                                .toArray())
                .toArray(double[][]::new);
    }

    /** What a query sees of finished landmarks and, behind them, of the first positions of the next segment. */
    private static double[] weights(
            double[] q,
            double[][] keys,
            double[][] k,
            int finished,
            int segment,
            int positions,
            int head) {
        return softmax(
                finished + positions,
                i ->
                        i < finished
                                ? score(q, keys[i], head) + (float) Math.log(segment)
                                : score(q, k[finished * (segment - 1) + i], head));
    }

    private static double weighted(
            double[] weights, double[][] u, double[][] v, int finished, int segment, int column) {
        return sum(
                weights.length,
                i -> weights[i] * (i < finished ? u[i] : v[finished * (segment - 1) + i])[column]);
    }

    /** What landmarks stand for, element by element. */
    private static double[][] stand(
            double[][] q, double[][] k, double[][] v, int segment, double ridge) {
        double[][] queries = means(q, segment);
        double[][] keys = means(k, segment);
        double[][] u = means(v, segment);
        for (int i = 0; i < u.length; i++) {
            for (int c = 0; c < WIDTH; c++) {
                int head = c / HEAD_DIM;
                int row = i;
                int column = c;
                double[] a = softmax(i + 1, j -> score(queries[row], keys[j], head));
                double[] seen = weights(queries[i], keys, k, i, segment, segment, head);
                double right = weighted(seen, u, v, i, segment, c) + ridge * u[i][c];
                u[i][c] = (right - sum(i, j -> a[j] * u[j][column])) / (a[i] + ridge);
            }
        }
        return u;
    }

    /** The outputs of one sequence before they are projected, term by term. */
    private static double[][] attended(
            double[][] q, double[][] k, double[][] v, int segment, double ridge) {
        double[][] keys = means(k, segment);
        double[][] u = stand(q, k, v, segment, ridge);
        double[][] y = new double[q.length][WIDTH];
        for (int t = 0; t < q.length; t++) {
            int finished = t / segment;
            int positions = t % segment + 1;
            for (int c = 0; c < WIDTH; c++) {
                double[] seen = weights(q[t], keys, k, finished, segment, positions, c / HEAD_DIM);
                y[t][c] = weighted(seen, u, v, finished, segment, c);
            }
        }
        return y;
    }

    /** Lengths that end within a segment and with one, and one that no landmark has been made for yet. */
    @ParameterizedTest
    @CsvSource({"23, 5, 1", "20, 4, 0.25", "21, 4, 2", "9, 3, 0", "7, 1, 1", "6, 20, 0.5"})
    void outputsAreThoseOfTheFormula(int length, int landmarks, double ridge) {
        try (var rig = Rig.exact()) {
            Nystrom mixer = build(rig, causal(landmarks, ridge), length);
            double[] input = Rig.gaussian(3, length * WIDTH);
            double[][] q = projected(rig, mixer.projection(), rows(input), 0);
            double[][] k = projected(rig, mixer.projection(), rows(input), WIDTH);
            double[][] v = projected(rig, mixer.projection(), rows(input), 2 * WIDTH);
            double[][] y = attended(q, k, v, mixer.segment(), (float) ridge);
            double[] expected =
                    Arrays.stream(projected(rig, mixer.output(), y, 0))
                            .flatMapToDouble(Arrays::stream)
                            .toArray();
            assertThat(mixer.segment()).isEqualTo(Math.ceilDiv(length, landmarks));
            assertThat(Decoding.error(forward(rig, mixer, input, length), expected))
                    .isLessThan(1e-9);
        }
    }

    /** A prefix has the landmarks of the whole. */
    @Test
    void segmentsAreThoseOfTheLongestSequence() {
        try (var rig = Rig.exact()) {
            Nystrom mixer = build(rig, causal(8, 1), 64);
            double[] input = Rig.gaussian(4, 64 * WIDTH);
            double[] whole = forward(rig, mixer, input, 64);
            for (int length : new int[] {3, 8, 9, 40, 63}) {
                double[] prefix = forward(rig, mixer, Arrays.copyOf(input, length * WIDTH), length);
                assertThat(Decoding.error(prefix, Arrays.copyOf(whole, length * WIDTH)))
                        .as("%d positions", length)
                        .isLessThan(1e-12);
            }
        }
    }

    /**
     * Keys that turn away from their queries, so that a landmark attends to itself least: without ridge each equation multiplies the
     * errors of those before it.
     */
    @Test
    void aRidgeKeepsLandmarksWithinBounds() {
        int length = 128;
        assertThat(largest(causal(32, 1), length)).isLessThan(10);
        assertThat(largest(causal(32, 0), length)).isGreaterThan(1e6);
    }

    private static double largest(Nystrom.Config config, int length) {
        try (var rig = Rig.exact()) {
            Nystrom mixer = config.build(new Layer(0, 1, WIDTH, length), new Init(1, 1));
            rig.parameters(mixer);
            double[] weight = new double[3 * WIDTH * WIDTH];
            for (int i = 0; i < WIDTH; i++) {
                weight[i * WIDTH + i] = 4;
                weight[(WIDTH + i) * WIDTH + i] = -4;
                weight[(2 * WIDTH + i) * WIDTH + i] = 1;
            }
            rig.stream().copyToDevice(mixer.projection().weight().values(), weight);
            double[] unit = new double[WIDTH * WIDTH];
            for (int i = 0; i < WIDTH; i++) {
                unit[i * WIDTH + i] = 1;
            }
            rig.stream().copyToDevice(mixer.output().weight().values(), unit);
            double[] input = Rig.gaussian(5, length * WIDTH);
            return Arrays.stream(forward(rig, mixer, input, length))
                    .map(Math::abs)
                    .max()
                    .orElseThrow();
        }
    }

    /** Where iterations have come to their end, they are at the inverse. */
    @Test
    void iterationsApproachTheExactInverse() {
        int length = 22;
        try (var rig = Rig.exact()) {
            double[] input = Rig.gaussian(6, 2 * length * WIDTH);
            double[] exact =
                    forward(rig, build(rig, published(1, 4, EXACT), length), input, length);
            for (boolean shared : new boolean[] {false, true}) {
                double[] many = iterated(rig, 40, shared, input, length);
                assertThat(Decoding.error(many, exact)).isLessThan(1e-8);
                double[] few = iterated(rig, 1, shared, input, length);
                assertThat(Decoding.error(few, exact)).isGreaterThan(1e-2);
            }
        }
    }

    private static double[] iterated(
            Rig rig, int iterations, boolean sharedStart, double[] input, int length) {
        var options = new PublishedNystrom.Options(true, iterations, sharedStart, 0);
        return forward(rig, build(rig, published(1, 4, options), length), input, length);
    }

    /** The published skip: example b has the filter of head b modulo heads. */
    @Test
    void theSkipOfAnExampleIsTheConvolutionOfItsValues() {
        int length = 7;
        int taps = 3;
        try (var rig = Rig.exact()) {
            double[] input = Rig.gaussian(7, 4 * length * WIDTH);
            var options = new PublishedNystrom.Options(false, 0, false, taps);
            Nystrom mixer = build(rig, published(HEADS, 3, options), length);
            double[] with = forward(rig, mixer, input, length);
            double[] filters = rig.values(mixer.skip().weight());
            var plain =
                    new Nystrom(
                            mixer.projection(),
                            mixer.output(),
                            null,
                            HEADS,
                            3,
                            mixer.segment(),
                            0,
                            mixer.dropout(),
                            false,
                            EXACT);
            double[][] v = projected(rig, mixer.projection(), rows(input), 2 * WIDTH);
            double[][] convolved = new double[v.length][WIDTH];
            for (int row = 0; row < v.length; row++) {
                int example = row / length;
                for (int tap = 0; tap < taps; tap++) {
                    int s = row + tap - taps / 2;
                    if (s < 0 || Math.floorDiv(s, length) != example) {
                        continue;
                    }
                    for (int c = 0; c < WIDTH; c++) {
                        convolved[row][c] += filters[example % HEADS * taps + tap] * v[s][c];
                    }
                }
            }
            double[][] added = projected(rig, mixer.output(), convolved, 0);
            double[] expected = forward(rig, plain, input, length);
            for (int i = 0; i < expected.length; i++) {
                expected[i] += added[i / WIDTH][i % WIDTH];
            }
            assertThat(Decoding.error(with, expected)).isLessThan(1e-12);
            double[] three = Arrays.copyOf(input, 3 * length * WIDTH);
            assertThatThrownBy(() -> forward(rig, mixer, three, length))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("batch of 3");
        }
    }

    /** It sees ahead, which is what it is published as; so nothing can go on from a state. */
    @Test
    void thePublishedFormLooksAheadAndSaysSo() {
        int length = 16;
        var config = published(1, 4, PublishedNystrom.Options.USUAL);
        assertThat(config.causal()).isFalse();
        try (var rig = Rig.exact()) {
            Nystrom mixer = build(rig, config, length);
            double[] input = Rig.gaussian(8, length * WIDTH);
            double[] before = forward(rig, mixer, input, length);
            input[11 * WIDTH] += 1;
            double[] after = forward(rig, mixer, input, length);
            assertThat(Arrays.mismatch(before, after)).isBetween(0, 11 * WIDTH - 1);
            assertThatThrownBy(() ->
                            Decoding.decode(
                                    rig,
                                    mixer::extend,
                                    Rig.gaussian(9, length * WIDTH),
                                    length,
                                    List.of(3)))
                    .isInstanceOf(UserException.class)
                    .hasMessageContaining("causal=true");
        }
    }

    @Test
    void optionsThatMakeNoSenseAreRefused() {
        assertThatThrownBy(() -> causal(0, 1)).isInstanceOf(UserException.class);
        assertThatThrownBy(() -> causal(4, -1)).isInstanceOf(UserException.class);
        assertThatThrownBy(() -> causal(4, Double.NaN)).isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new Nystrom.Config(HEADS, 4, 1, 0, true, EXACT))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("causal=false");
        assertThatThrownBy(() -> new PublishedNystrom.Options(true, -1, false, 0))
                .isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new PublishedNystrom.Options(true, 6, false, 4))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("odd");
        assertThatThrownBy(() -> new Nystrom.Config(3, 4).check(WIDTH))
                .isInstanceOf(UserException.class);
    }
}
