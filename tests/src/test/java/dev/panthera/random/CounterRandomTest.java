package dev.panthera.random;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CounterRandomTest {

    /** The known answers that come with the Random123 distribution (kat_vectors, philox4x32 10). */
    @ParameterizedTest
    @CsvSource({
        "00000000 00000000 00000000 00000000, 00000000 00000000, 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        "ffffffff ffffffff ffffffff ffffffff, ffffffff ffffffff, 408f276d 41c83b0e a20bc7c6 6d5451fd",
        "243f6a88 85a308d3 13198a2e 03707344, a4093822 299f31d0, d16cfe09 94fdcceb 5001e420 24126ea1",
    })
    void philoxGivesThePublishedBlocks(String counter, String key, String expected) {
        int[] c = words(counter);
        int[] k = words(key);
        int[] out = new int[4];
        Philox.block(c[0], c[1], c[2], c[3], k[0], k[1], out);
        assertThat(out).containsExactly(words(expected));
    }

    private static int[] words(String hexadecimal) {
        return Arrays.stream(hexadecimal.split(" "))
                .mapToInt(word -> Integer.parseUnsignedInt(word, 16))
                .toArray();
    }

    @Test
    void theCounterHoldsBlockIndexPurposeAndStreamAndTheKeyHoldsTheSeed() {
        var random =
                CounterRandom.of(
                        0x0123456789abcdefL, Purpose.FILLER, 0x00030005, 0x1122334455667788L);
        int[] block = new int[4];
        for (int number = 0; number < 3; number++) {
            Philox.block(number, 0x55667788, 0x11223344, 0x11030005, 0x89abcdef, 0x01234567, block);
            assertThat(
                            new int[] {
                                random.nextInt(),
                                random.nextInt(),
                                random.nextInt(),
                                random.nextInt()
                            })
                    .containsExactly(block);
        }
    }

    @Test
    void purposeCodesNeverChange() {
        assertThat(Arrays.stream(Purpose.values()).map(purpose -> purpose + "=" + purpose.code()))
                .containsExactly(
                        "INIT=1",
                        "PATTERN=2",
                        "SELECTION=3",
                        "ROW=16",
                        "FILLER=17",
                        "SHUFFLE=18",
                        "BATCH_ORDER=19",
                        "SHARED=20");
    }

    @Test
    void eachSeedPurposeStreamAndIndexHasItsOwnSequence() {
        var first = new HashSet<Long>();
        int sequences = 0;
        for (long seed : new long[] {0, 1, 1L << 32, -1}) {
            for (Purpose purpose : Purpose.values()) {
                for (int stream : new int[] {0, 1, CounterRandom.STREAMS - 1}) {
                    for (long index : new long[] {0, 1, 1L << 32, Long.MAX_VALUE}) {
                        first.add(CounterRandom.of(seed, purpose, stream, index).nextLong());
                        sequences++;
                    }
                }
            }
        }
        assertThat(first).hasSize(sequences);
    }

    @Property
    void resettingGivesTheSameAsAFreshGenerator(
            @ForAll long seed, @ForAll long index, @ForAll @IntRange(max = 9) int used) {
        var reused = CounterRandom.of(seed, Purpose.ROW, 99);
        for (int i = 0; i < used; i++) {
            reused.nextInt();
        }
        reused.nextGaussian();
        reused.reset(index);
        var fresh = CounterRandom.of(seed, Purpose.ROW, index);
        assertThat(reused.nextGaussian()).isEqualTo(fresh.nextGaussian());
        assertThat(reused.nextLong()).isEqualTo(fresh.nextLong());
    }

    @ParameterizedTest
    @CsvSource({"1", "2", "3", "10", "127", "1000"})
    void boundedIntegersAreUniform(int bound) {
        int draws = 200_000;
        int[] counts = new int[bound];
        var random = CounterRandom.of(1, Purpose.ROW, 0);
        for (int i = 0; i < draws; i++) {
            counts[random.nextInt(bound)]++;
        }
        assertChiSquared(counts, draws);
    }

    /** Without rejection every third value of this bound would have half again the probability of the others. */
    @Test
    void boundsNearTheWordSizeAreUnbiased() {
        int draws = 30_000;
        int[] counts = new int[3];
        var random = CounterRandom.of(2, Purpose.ROW, 0);
        for (int i = 0; i < draws; i++) {
            counts[random.nextInt(3 << 29) % 3]++;
        }
        assertChiSquared(counts, draws);
    }

    private static void assertChiSquared(int[] counts, int draws) {
        double expected = (double) draws / counts.length;
        double statistic =
                Arrays.stream(counts)
                        .mapToDouble(count -> (count - expected) * (count - expected) / expected)
                        .sum();
        double freedom = counts.length - 1;
        assertThat(statistic).isLessThanOrEqualTo(freedom + 5 * Math.sqrt(2 * freedom));
    }

    @Test
    void uniformExponentialAndNormalHaveTheirMoments() {
        int draws = 400_000;
        var random = CounterRandom.of(3, Purpose.INIT, 0);
        double[] uniform =
                IntStream.range(0, draws).mapToDouble(_ -> random.nextDouble()).toArray();
        double[] exponential =
                IntStream.range(0, draws).mapToDouble(_ -> random.nextExponential()).toArray();
        double[] normal =
                IntStream.range(0, draws).mapToDouble(_ -> random.nextGaussian()).toArray();
        assertThat(Arrays.stream(uniform)).allMatch(value -> value >= 0 && value < 1);
        assertThat(Arrays.stream(exponential)).allMatch(value -> value >= 0);
        assertThat(moment(uniform, 1)).isCloseTo(1 / 2.0, within(0.003));
        assertThat(moment(uniform, 2)).isCloseTo(1 / 3.0, within(0.003));
        assertThat(moment(exponential, 1)).isCloseTo(1, within(0.01));
        assertThat(moment(exponential, 2)).isCloseTo(2, within(0.04));
        assertThat(moment(normal, 1)).isCloseTo(0, within(0.01));
        assertThat(moment(normal, 2)).isCloseTo(1, within(0.01));
        assertThat(moment(normal, 4)).isCloseTo(3, within(0.08));
        double lagProduct =
                IntStream.range(1, draws).mapToDouble(i -> normal[i - 1] * normal[i]).sum() / draws;
        assertThat(lagProduct).isCloseTo(0, within(0.01));
    }

    private static double moment(double[] values, int order) {
        return Arrays.stream(values).map(value -> Math.pow(value, order)).average().orElseThrow();
    }

    @Property
    void aPermutationHoldsEachNumberOnce(@ForAll long seed, @ForAll @IntRange(max = 300) int size) {
        int[] values = CounterRandom.of(seed, Purpose.SHUFFLE, 0).permutation(size);
        assertThat(Arrays.stream(values).sorted().toArray())
                .isEqualTo(IntStream.range(0, size).toArray());
    }

    @Test
    void allPermutationsAreEquallyLikely() {
        int draws = 60_000;
        int[] counts = new int[27];
        var random = CounterRandom.of(4, Purpose.SHUFFLE, 0);
        for (int i = 0; i < draws; i++) {
            int[] p = random.permutation(3);
            counts[9 * p[0] + 3 * p[1] + p[2]]++;
        }
        int[] possible = Arrays.stream(counts).filter(count -> count > 0).toArray();
        assertThat(possible).hasSize(6);
        assertChiSquared(possible, draws);
    }

    @Test
    void impossibleArgumentsAreRefused() {
        assertThatThrownBy(() -> CounterRandom.of(0, Purpose.ROW, CounterRandom.STREAMS, 0))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> CounterRandom.of(0, Purpose.ROW, 0).nextInt(0))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("got 0");
    }
}
