package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.io.SafetensorsFile;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against rows and histograms recorded from the original implementation. */
class MqarGoldenTest {

    private static final int HISTOGRAM_ROWS = 100_000;

    @ParameterizedTest
    @CsvSource({
        "256,64,4,0.01,RANDOM",
        "256,64,4,0.1,ZERO",
        "8192,128,16,0.01,ZERO",
        "8192,128,8,0.1,RANDOM",
        "8192,256,16,0.1,ZERO",
        "8192,64,8,0.01,ZERO"
    })
    void everyRecordedRowIsARowOfTheTask(
            int vocab, int length, int pairs, double powerA, Filler filler) throws Exception {
        var task = new Mqar(vocab, length, pairs, powerA, filler, 1);
        var file =
                golden(
                        "mqar_V%d_L%d_kv%d_a%s_rand%d"
                                .formatted(
                                        vocab,
                                        length,
                                        pairs,
                                        powerA,
                                        filler == Filler.RANDOM ? 1 : 0));
        int[] inputs = file.tensor("inputs").toInts();
        int[] labels = file.tensor("labels").toInts();
        long[] shape = file.tensor("inputs").shape();
        assertThat(shape[0]).isPositive();
        assertThat(shape[1]).isEqualTo(length);
        for (int row = 0; row < shape[0]; row++) {
            assertThat(
                            task.verify(
                                    Arrays.copyOfRange(inputs, row * length, (row + 1) * length),
                                    Arrays.copyOfRange(labels, row * length, (row + 1) * length)))
                    .as("row %d", row)
                    .isEmpty();
        }
    }

    /** Two exact samplers of 100 000 rows differ by at most about sqrt(S / (pi rows)) in total variation. */
    @ParameterizedTest
    @CsvSource({"64,4,0.01", "64,4,0.1", "64,8,0.01", "128,8,0.01", "128,16,0.1", "256,16,0.01"})
    void eachKeyIsAskedAtTheRecordedSlotsAsOften(int length, int pairs, double powerA)
            throws Exception {
        var task =
                Mqar.of(length, pairs)
                        .withVocabSize(2 * length + 2)
                        .withPowerA(powerA)
                        .withFiller(Filler.ZERO);
        var file = golden("mqar_gaps_L%d_kv%d_a%s".formatted(length, pairs, powerA));
        assertProbabilities(
                task.slotProbabilities(), file.tensor("single_draw_probability").toFloats());
        int[] recorded = file.tensor("slot_by_kv_hist").toInts();
        int[] ours = slotsByPair(task);
        int slots = task.slots();
        for (int pair = 0; pair < pairs; pair++) {
            int begin = pair * slots;
            double expectedNoise = Math.sqrt(slots / (Math.PI * HISTOGRAM_ROWS));
            assertThat(totalVariation(recorded, ours, begin, begin + slots))
                    .as("pair %d", pair)
                    .isLessThan(1.25 * expectedNoise);
        }
        int[] recordedSlots = file.tensor("slot_hist").toInts();
        int[] ourSlots = new int[slots];
        for (int i = 0; i < ours.length; i++) {
            ourSlots[i % slots] += ours[i];
        }
        assertThat(totalVariation(recordedSlots, ourSlots, 0, slots)).isLessThan(0.01);
    }

    private static void assertProbabilities(double[] ours, float[] recorded) {
        assertThat(ours).hasSameSizeAs(recorded);
        for (int slot = 0; slot < ours.length; slot++) {
            assertThat(Math.abs(ours[slot] / recorded[slot] - 1))
                    .as("slot %d", slot)
                    .isLessThan(1e-6);
        }
    }

    private static int[] slotsByPair(Mqar task) {
        int[] histogram = new int[task.pairs() * task.slots()];
        int[] inputs = new int[task.length()];
        int[] labels = new int[task.length()];
        int[] pairOfKey = new int[task.vocabSize()];
        var generator = task.generator(new RowStream(123, Split.TRAIN, 0));
        for (int row = 0; row < HISTOGRAM_ROWS; row++) {
            generator.row(row, inputs, labels);
            for (int pair = 0; pair < task.pairs(); pair++) {
                pairOfKey[inputs[2 * pair]] = pair;
            }
            for (int slot = 0; slot < task.slots(); slot++) {
                int position = task.contextLength() + 2 * slot;
                if (labels[position] != TaskConfig.IGNORE) {
                    histogram[pairOfKey[inputs[position]] * task.slots() + slot]++;
                }
            }
        }
        return histogram;
    }

    /** Half the L1 distance of the two histograms, each normalised over [begin, end). */
    private static double totalVariation(int[] a, int[] b, int begin, int end) {
        double sumA = Arrays.stream(a, begin, end).sum();
        double sumB = Arrays.stream(b, begin, end).sum();
        double distance = 0;
        for (int i = begin; i < end; i++) {
            distance += Math.abs(a[i] / sumA - b[i] / sumB) / 2;
        }
        return distance;
    }

    private static SafetensorsFile golden(String name) throws URISyntaxException {
        var resource = MqarGoldenTest.class.getResource("/goldens/data/" + name + ".safetensors");
        return SafetensorsFile.read(Path.of(resource.toURI()));
    }
}
