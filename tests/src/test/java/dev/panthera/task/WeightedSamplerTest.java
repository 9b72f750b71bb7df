package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class WeightedSamplerTest {

    @Property
    void allItemsComeOnceHoweverUnequalTheirWeights(
            @ForAll @Size(min = 1, max = 70)
                    List<@IntRange(min = -690, max = 690) Integer> logWeights,
            @ForAll long seed) {
        double[] weights = logWeights.stream().mapToDouble(Math::exp).toArray();
        int[] drawn = new int[weights.length];
        new WeightedSampler(weights).draw(CounterRandom.of(seed, Purpose.ROW, 0), drawn);
        assertThat(Arrays.stream(drawn).sorted().toArray())
                .isEqualTo(IntStream.range(0, weights.length).toArray());
    }

    @Property
    void drawingLeavesNoTrace(@ForAll long seed, @ForAll @IntRange(min = 1, max = 9) int draws) {
        double[] weights = IntStream.rangeClosed(1, 9).mapToDouble(i -> 1.0 / i).toArray();
        var used = new WeightedSampler(weights);
        int[] first = new int[draws];
        int[] again = new int[draws];
        used.draw(CounterRandom.of(seed, Purpose.ROW, 0), first);
        used.draw(CounterRandom.of(seed, Purpose.ROW, 0), again);
        assertThat(again).isEqualTo(first);
    }

    /** P(i, then j) = p_i p_j / (1 - p_i). */
    @Test
    void orderedPairsHaveTheLawOfSuccessiveSampling() {
        double[] p = {0.5, 0.3, 0.15, 0.05};
        int draws = 200_000;
        int[] counts = new int[16];
        int[] pair = new int[2];
        var random = CounterRandom.of(1, Purpose.ROW, 0);
        var sampler = new WeightedSampler(p);
        for (int i = 0; i < draws; i++) {
            sampler.draw(random, pair);
            counts[4 * pair[0] + pair[1]]++;
        }
        for (int i = 0; i < 4; i++) {
            for (int j = 0; j < 4; j++) {
                double expected = i == j ? 0 : p[i] * p[j] / (1 - p[i]);
                assertThat((double) counts[4 * i + j] / draws)
                        .as("(%d, %d)", i, j)
                        .isCloseTo(expected, within(0.004));
            }
        }
    }

    @Property
    void distinctSamplesAreDistinctAndLeaveNoTrace(
            @ForAll long seed,
            @ForAll @IntRange(min = 1, max = 40) int population,
            @ForAll @IntRange(max = 40) int wanted) {
        int draws = Math.min(wanted, population);
        var sampler = new DistinctSampler(population, draws);
        int[] first = new int[draws];
        int[] again = new int[draws];
        sampler.draw(CounterRandom.of(seed, Purpose.ROW, 0), first);
        sampler.draw(CounterRandom.of(seed, Purpose.ROW, 0), again);
        assertThat(first).isEqualTo(again).doesNotHaveDuplicates();
        assertThat(Arrays.stream(first)).allMatch(item -> item >= 0 && item < population);
    }
}
