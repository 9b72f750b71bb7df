package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.io.SafetensorsFile;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Where MQAR's relatives ask, against slots recorded from the original and against the laws in closed form. */
class QueryDistancesTest {

    private static final int ROWS = 50_000;

    /** With 4 pairs and 28 slots each, as in the recording of MQAR at (64, 4) with the exponent 0.1. */
    static Stream<Arguments> tasksWithRecordedSlots() {
        return Stream.of(
                Arguments.of(new ForgettingMqar(69, 68, 4, 2, 0.1, Filler.ZERO, false), 12, 2),
                Arguments.of(new CompositionalMqar(97, 96, 4, 0.1, Filler.ZERO), 13, 3),
                Arguments.of(
                        new ZipfMqar(65, 64, 4, 1, 1, new GapLaw.PowerLaw(0.1), Filler.ZERO, 1),
                        8,
                        2));
    }

    @ParameterizedTest
    @MethodSource("tasksWithRecordedSlots")
    void queriesTakeTheRecordedSlotsAsOften(TaskConfig task, int first, int stride)
            throws URISyntaxException {
        int[] recorded = recordedSlots();
        double[] ours = slots(task, first, stride, recorded.length);
        double sum = Arrays.stream(recorded).sum();
        double distance =
                IntStream.range(0, ours.length)
                        .mapToDouble(slot -> Math.abs(ours[slot] - recorded[slot] / sum) / 2)
                        .sum();
        assertThat(distance).isLessThan(0.01);
    }

    /** Of a single pair the slots have exactly the law's probabilities. */
    @ParameterizedTest
    @MethodSource("laws")
    void theSlotOfASinglePairFollowsTheLaw(GapLaw law, double[] expected) {
        var task = new ZipfMqar(11, 10, 1, 1, 1, law, Filler.ZERO, 1);
        assertThat(law.slotProbabilities(4)).containsExactly(expected, within(1e-12));
        double[] ours = slots(task, 2, 2, 4);
        for (int slot = 0; slot < 4; slot++) {
            assertThat(ours[slot]).isCloseTo(expected[slot], within(0.01));
        }
    }

    static Stream<Arguments> laws() {
        double harmonic = 1 + 1 / Math.sqrt(2) + 1 / Math.sqrt(3) + 0.5;
        return Stream.of(
                Arguments.of(new GapLaw.Uniform(), new double[] {.25, .25, .25, .25}),
                Arguments.of(
                        new GapLaw.Geometric(0.5),
                        new double[] {8 / 15.0, 4 / 15.0, 2 / 15.0, 1 / 15.0}),
                Arguments.of(
                        new GapLaw.PowerLaw(0.5),
                        new double[] {
                            1 / harmonic,
                            1 / Math.sqrt(2) / harmonic,
                            1 / Math.sqrt(3) / harmonic,
                            0.5 / harmonic
                        }));
    }

    @Test
    void aFixedGapIsTheDistanceOfEveryQuery() {
        var task = new ZipfMqar(41, 40, 4, 1, 1, new GapLaw.Fixed(16), Filler.RANDOM, 2);
        for (long index = 0; index < 100; index++) {
            var row = Row.of(task, index);
            assertThat(row.asked().map(position -> task.answerDistance(row.inputs(), position)))
                    .hasSize(4)
                    .allMatch(distance -> distance == 16);
        }
    }

    @Test
    void theOracleFindsAWrongGap() {
        var wide = new ZipfMqar(41, 40, 4, 1, 1, new GapLaw.Fixed(16), Filler.ZERO, 1);
        var narrow = new ZipfMqar(41, 40, 4, 1, 1, new GapLaw.Fixed(14), Filler.ZERO, 1);
        var row = Row.of(narrow, 0);
        assertThat(wide.verify(row.inputs(), row.labels()))
                .contains("position 14: the key is 14 tokens back, expected 16");
    }

    /** The first key drawn has weight r^-s, and so has the first value. */
    @Test
    void tokensFollowTheLawOfZipf() {
        var task = new ZipfMqar(20, 8, 2, 1, 2, new GapLaw.Uniform(), Filler.ZERO, 1);
        int[] keys = new int[20];
        int[] values = new int[20];
        for (long index = 0; index < ROWS; index++) {
            int[] inputs = Row.of(task, index).inputs();
            keys[inputs[0]]++;
            values[inputs[1]]++;
        }
        double keySum = IntStream.rangeClosed(1, 9).mapToDouble(r -> 1.0 / r).sum();
        double valueSum = IntStream.rangeClosed(1, 10).mapToDouble(r -> 1.0 / r / r).sum();
        for (int r = 1; r <= 9; r++) {
            assertThat((double) keys[r] / ROWS).isCloseTo(1 / keySum / r, within(0.01));
            assertThat((double) values[9 + r] / ROWS).isCloseTo(1 / valueSum / r / r, within(0.01));
        }
    }

    /** Exponents of 0 and the power law are MQAR itself, row by row. */
    @Test
    void withoutExponentsItIsMqar() {
        var mqar = new Mqar(100, 32, 4, 0.2, Filler.RANDOM, 2);
        var zipf = new ZipfMqar(100, 32, 4, 0, 0, new GapLaw.PowerLaw(0.2), Filler.RANDOM, 2);
        for (long index = 0; index < 20; index++) {
            assertThat(Row.of(zipf, index).inputs()).isEqualTo(Row.of(mqar, index).inputs());
            assertThat(Row.of(zipf, index).labels()).isEqualTo(Row.of(mqar, index).labels());
        }
        assertThat(zipf.slices()).isEqualTo(mqar.slices());
        assertThat(zipf.chance()).isEqualTo(mqar.chance());
    }

    private static double[] slots(TaskConfig task, int first, int stride, int slots) {
        double[] shares = new double[slots];
        var generator = task.generator(Row.STREAM);
        int[] inputs = new int[task.length()];
        int[] labels = new int[task.length()];
        for (long index = 0; index < ROWS; index++) {
            generator.row(index, inputs, labels);
            for (int slot = 0; slot < slots; slot++) {
                boolean asked = labels[first + stride * slot] != TaskConfig.IGNORE;
                shares[slot] += asked ? 1.0 / ROWS / task.labelsPerRow() : 0;
            }
        }
        return shares;
    }

    private static int[] recordedSlots() throws URISyntaxException {
        var resource =
                QueryDistancesTest.class.getResource(
                        "/goldens/data/mqar_gaps_L64_kv4_a0.1.safetensors");
        return SafetensorsFile.read(Path.of(resource.toURI())).tensor("slot_hist").toInts();
    }
}
