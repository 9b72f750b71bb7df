package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Multi-query associative recall: key-value pairs, then the keys again, each to be answered with its value.
 *
 * <pre>
 *     position   0  1  2  3 |  4  5  6  7  8  9 ...      D = 2 pairs, one pass: context of C = 2 D passes = 4 positions
 *     input     K0 V0 K1 V1 | K1  .  .  . K0  . ...      '.': filler
 *     label      .  .  .  . | V1  .  .  . V0  . ...      '.': ignored
 * </pre>
 *
 * Keys are distinct and uniform on [1, V/2), values on [V/2, V). Slot s in [0, S), S = (L - C) / 2, is
 * position C + 2 s. Key i is asked at the i-th of D slots drawn one after the other without replacement with weights
 * {@code w_s = a (s+1)^(a-1)}, normalised; a = 1 is uniform, a towards 0 approaches 1/(s+1). A row takes O(D log L)
 * steps beside writing its L positions. Fillers have their own random numbers: {@link Filler#ZERO} and
 * {@link Filler#RANDOM} give the same keys, values and slots.
 *
 * <p>Source: Arora et al. 2023 (arXiv 2312.04927); several passes over the pairs after Arora et al. 2024
 * (arXiv 2407.05483).
 *
 * @param vocabSize V, more than L
 * @param length    L, even
 * @param pairs     D, at least 1
 * @param powerA    a, more than 0
 * @param filler    what stands after the context where nothing is asked
 * @param passes    how often the list of pairs is repeated, at least 1
 */
public record Mqar(int vocabSize, int length, int pairs, double powerA, Filler filler, int passes)
        implements TaskConfig {

    private static final int DEFAULT_VOCAB_SIZE = 8192;

    /**
     * Checks that rows exist. {@code V > L >= 4 D} also leaves at least D keys and D values to choose from.
     *
     * @throws UserException if an option is impossible; names it and what to try
     */
    public Mqar {
        UserException.require(
                length >= 4,
                "--length %d: the shortest MQAR row is one pair and one query; try 4",
                length);
        requireEven(length);
        UserException.require(
                pairs >= 1, "--pairs %d: MQAR needs at least one key-value pair; try 4", pairs);
        UserException.require(
                passes >= 1, "--passes %d: the pairs must be shown at least once; try 1", passes);
        long needed = 2L * pairs * passes + 2L * pairs;
        UserException.require(
                needed <= length,
                "--length %d: %d pairs shown in %d passes and asked once need %d"
                        + " positions; try --length %d or fewer pairs",
                length,
                pairs,
                passes,
                needed,
                needed);
        requireVocabAbove(length, vocabSize);
        new GapLaw.PowerLaw(powerA).check((length - 2 * pairs * passes) / 2, pairs);
    }

    /** @throws UserException for an odd length */
    static void requireEven(int length) {
        UserException.require(
                length % 2 == 0,
                "--length %d: MQAR places queries in pairs, so the length must be even; try %d",
                length,
                length + 1L);
    }

    /** @throws UserException if there are not more tokens than positions */
    static void requireVocabAbove(int length, int vocabSize) {
        UserException.require(
                vocabSize > length,
                "--vocab %d: the vocabulary must be larger than the length %d; try %d",
                vocabSize,
                length,
                2L * length);
    }

    /** L and D with V = 8192, a = 0.01, random fillers and one pass. */
    public static Mqar of(int length, int pairs) {
        return new Mqar(
                DEFAULT_VOCAB_SIZE, length, pairs, GapLaw.PowerLaw.DEFAULT_A, Filler.RANDOM, 1);
    }

    public Mqar withVocabSize(int vocabSize) {
        return new Mqar(vocabSize, length, pairs, powerA, filler, passes);
    }

    public Mqar withPowerA(double powerA) {
        return new Mqar(vocabSize, length, pairs, powerA, filler, passes);
    }

    public Mqar withFiller(Filler filler) {
        return new Mqar(vocabSize, length, pairs, powerA, filler, passes);
    }

    public Mqar withPasses(int passes) {
        return new Mqar(vocabSize, length, pairs, powerA, filler, passes);
    }

    @Override
    public String name() {
        return "mqar";
    }

    /** With length and pairs. */
    @Override
    public String label() {
        return "mqar-" + length + "-" + pairs;
    }

    @Override
    public int labelsPerRow() {
        return pairs;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("num_kv_pairs", pairs, "input_seq_len", length, "num_passes", passes);
    }

    /** Positions before the first slot: C = 2 D passes. */
    public int contextLength() {
        return 2 * pairs * passes;
    }

    /** Slots that queries can take: S = (L - C) / 2. */
    public int slots() {
        return (length - contextLength()) / 2;
    }

    /** Probability of each slot in a single draw: {@code (s+1)^(a-1)} over its sum. */
    public double[] slotProbabilities() {
        return new GapLaw.PowerLaw(powerA).slotProbabilities(slots());
    }

    /**
     * {@inheritDoc}
     *
     * <p>It is the distance from the query to its key in the last pass over the pairs. Positions behind the context do
     * not count, since a random filler that equals the key is not followed by its value. O(D).
     */
    @Override
    public int answerDistance(int[] inputs, int position) {
        return distanceToKey(inputs, position, contextLength(), pairs);
    }

    /** The distance to where the last {@code pairs} pairs of a context show the key at a position. */
    static int distanceToKey(int[] inputs, int position, int context, int pairs) {
        int key = inputs[position];
        for (int shown = context - 2 * pairs; shown < context; shown += 2) {
            if (inputs[shown] == key) {
                return position - shown;
            }
        }
        return NO_DISTANCE;
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        return new Generator(
                this,
                stream,
                new DistinctSampler(keyCount(), pairs),
                new DistinctSampler(valueCount(), pairs),
                new WeightedSampler(slotProbabilities()));
    }

    /** Keys are the tokens 1 to this. */
    int keyCount() {
        return firstValue() - 1;
    }

    /** Values are so many tokens, up to the last. */
    int valueCount() {
        return vocabSize - firstValue();
    }

    private int firstValue() {
        return vocabSize / 2;
    }

    /** One of the values: a model that has recalled nothing does no better. */
    @Override
    public OptionalDouble chance() {
        return OptionalDouble.of(1.0 / valueCount());
    }

    /**
     * {@inheritDoc}
     *
     * <p>With random fillers a filler may equal a key, so that the inputs do not tell which positions are asked: then
     * those are taken from the labels, and each label is recomputed from the pair of its key.
     */
    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        var shown = new ShownPairs(vocabSize, pairs);
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> RowCheck.noLabels(labels, contextLength()))
                .or(() -> shown.read(inputs))
                .or(() -> firstProblemOfPasses(inputs))
                .or(() ->
                        new QueryCheck(vocabSize, contextLength(), 2, 1, filler)
                                .firstProblem(
                                        inputs,
                                        labels,
                                        shown.values(),
                                        position -> shown.pairOf(inputs[position])));
    }

    private Optional<String> firstProblemOfPasses(int[] inputs) {
        for (int position = 2 * pairs; position < contextLength(); position++) {
            if (inputs[position] != inputs[position - 2 * pairs]) {
                return RowCheck.problem(position, "a later pass shows another pair than the first");
            }
        }
        return Optional.empty();
    }

    /** Makes rows, given laws of keys, values and slots. */
    static final class Generator implements RowGenerator {

        private final Mqar task;
        private final CounterRandom content;
        private final CounterRandom fillers;
        private final IndexSampler keySampler;
        private final IndexSampler valueSampler;
        private final IndexSampler slotSampler;
        private final int[] keys;
        private final int[] values;
        private final int[] slots;

        Generator(
                Mqar task,
                RowStream stream,
                IndexSampler keySampler,
                IndexSampler valueSampler,
                IndexSampler slotSampler) {
            this.task = task;
            this.keySampler = keySampler;
            this.valueSampler = valueSampler;
            this.slotSampler = slotSampler;
            content = stream.random(Purpose.ROW);
            fillers = stream.random(Purpose.FILLER);
            keys = new int[task.pairs];
            values = new int[task.pairs];
            slots = new int[task.pairs];
        }

        @Override
        public void row(long index, int[] inputs, int[] labels) {
            content.reset(index);
            keySampler.draw(content, keys);
            valueSampler.draw(content, values);
            slotSampler.draw(content, slots);
            int context = task.contextLength();
            task.filler.write(fillers.reset(index), inputs, context, task.vocabSize);
            Arrays.fill(labels, IGNORE);
            for (int i = 0; i < task.pairs; i++) {
                int key = keys[i] + 1;
                int value = values[i] + task.firstValue();
                for (int position = 2 * i; position < context; position += 2 * task.pairs) {
                    inputs[position] = key;
                    inputs[position + 1] = value;
                }
                inputs[context + 2 * slots[i]] = key;
                labels[context + 2 * slots[i]] = value;
            }
        }
    }
}
