package dev.panthera.task;

import static org.assertj.core.api.Assertions.assertThat;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;

/** Rows of any possible options, of any seed and index, are rows of their task, with as many labels as it says. */
class TaskPropertiesTest {

    private static void check(TaskConfig task, long seed, long index) {
        var row = Row.of(task, new RowStream(seed, Split.VALIDATION, 2), index);
        assertThat(row.problem()).isEmpty();
        assertThat(row.asked().count()).isEqualTo(task.labelsPerRow());
        row.asked()
                .forEach(position ->
                        assertThat(row.labels()[position])
                                .isEqualTo(PlainAnswers.answer(row, position)));
    }

    @Property(tries = 300)
    void forgetting(
            @ForAll @IntRange(min = 1, max = 12) int pairs,
            @ForAll @IntRange(max = 12) int updates,
            @ForAll @IntRange(max = 20) int spareSlots,
            @ForAll @IntRange(min = 1, max = 50) int spareVocab,
            @ForAll Filler filler,
            @ForAll boolean asPublished,
            @ForAll long seed,
            @ForAll @LongRange(min = 0) long index) {
        int updated = Math.min(pairs, updates);
        int length = 4 * pairs + 2 * updated + 2 * spareSlots;
        check(
                new ForgettingMqar(
                        length + spareVocab, length, pairs, updated, 0.3, filler, asPublished),
                seed,
                index);
    }

    @Property(tries = 300)
    void compositional(
            @ForAll @IntRange(min = 1, max = 5) int root,
            @ForAll @IntRange(max = 50) int spareLength,
            @ForAll @IntRange(min = 1, max = 50) int spareVocab,
            @ForAll Filler filler,
            @ForAll long seed,
            @ForAll @LongRange(min = 0) long index) {
        int length = 6 * root * root + spareLength;
        check(
                new CompositionalMqar(length + spareVocab, length, root * root, 0.3, filler),
                seed,
                index);
    }

    @Property(tries = 300)
    void zipf(
            @ForAll @IntRange(min = 1, max = 12) int pairs,
            @ForAll @IntRange(min = 1, max = 3) int passes,
            @ForAll @IntRange(max = 20) int spareSlots,
            @ForAll @DoubleRange(max = 3) double keyExponent,
            @ForAll @DoubleRange(max = 3) double valueExponent,
            @ForAll @IntRange(max = 3) int law,
            @ForAll long seed,
            @ForAll @LongRange(min = 0) long index) {
        int length = 2 * pairs * passes + 2 * pairs + 2 * spareSlots;
        GapLaw gaps =
                switch (law) {
                    case 0 -> new GapLaw.PowerLaw(0.01);
                    case 1 -> new GapLaw.Uniform();
                    case 2 -> new GapLaw.Geometric(0.5);
                    default -> new GapLaw.Fixed(2 * (pairs + spareSlots));
                };
        check(
                new ZipfMqar(
                        length + 1,
                        length,
                        pairs,
                        keyExponent,
                        valueExponent,
                        gaps,
                        Filler.RANDOM,
                        passes),
                seed,
                index);
    }

    @Property(tries = 300)
    void inductionAndCopying(
            @ForAll @IntRange(min = 4, max = 40) int vocab,
            @ForAll @IntRange(min = 3, max = 100) int length,
            @ForAll @IntRange(min = 1, max = 50) int dataTokens,
            @ForAll long seed,
            @ForAll @LongRange(min = 0) long index) {
        check(new InductionHeads(vocab, length), seed, index);
        check(new SelectiveCopying(vocab, length, Math.min(dataTokens, length / 2)), seed, index);
    }

    @Property(tries = 300)
    void circuits(
            @ForAll @IntRange(min = 3, max = 12) int vocab,
            @ForAll @IntRange(min = 2, max = 100) int length,
            @ForAll long seed,
            @ForAll @LongRange(min = 0) long index) {
        check(new Parity(length), seed, index);
        check(new Majority(length), seed, index);
        check(new VocabMajority(vocab, length), seed, index);
        check(new CumulativeParity(length), seed, index);
        check(new CumulativeMajority(length), seed, index);
    }
}
