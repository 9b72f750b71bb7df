package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Associative recall with keys of two tokens, neither of which tells the value: g first and g second keys in all g^2 = D
 * combinations. A model must look for both at once.
 *
 * <pre>
 *     position   0 1  2   3 4  5  ... | 12 13 14  15 16 17 ...    D = 4 pairs: context of C = 3 D = 12 positions
 *     input      A X V0   B X V1  ... |  B  X  .   .  .  . ...    '.': filler
 *     label      . .  .   . .  .  ... |  . V1  .   .  .  . ...    '.': ignored
 * </pre>
 *
 * With T = V/3, first keys are distinct and uniform on [1, T), second keys on [T, 2T), values on [2T, V); the combinations
 * come in random order. Slot s in [0, S), S = (L - C) / 3, is position C + 3 s; slots are drawn as in {@link Mqar}. A model
 * that goes by one of the two keys is right one time in g; one that answers any value of the row, one time in D.
 *
 * <p>Source: the original's {@code compositional_mqar}.
 *
 * @param vocabSize V, more than L
 * @param length L, at least 6 D
 * @param pairs D, a square number
 * @param powerA exponent of the slot weights, see {@link GapLaw.PowerLaw}
 * @param filler what stands after the context where nothing is asked
 */
public record CompositionalMqar(int vocabSize, int length, int pairs, double powerA, Filler filler)
        implements TaskConfig {

    private static final int DEFAULT_VOCAB_SIZE = 8192;
    private static final int STRIDE = 3;

    /** @throws UserException if an option is impossible; names it and what to try */
    public CompositionalMqar {
        int root = root(pairs);
        UserException.require(
                pairs >= 1 && root * root == pairs,
                "--pairs %d: the combinations of as many first as second keys are a square number; try %d",
                pairs,
                Math.max(1, root * root));
        long needed = 2L * STRIDE * pairs;
        UserException.require(
                needed <= length,
                "--length %d: %d combinations and a query of each, of three tokens, need %d positions; try --length %d or"
                        + " fewer pairs",
                length,
                pairs,
                needed,
                needed);
        Mqar.requireVocabAbove(length, vocabSize);
        new GapLaw.PowerLaw(powerA).check((length - STRIDE * pairs) / STRIDE, pairs);
    }

    /** L and D with V = 8192, a = 0.01 and random fillers. */
    public static CompositionalMqar of(int length, int pairs) {
        return new CompositionalMqar(
                DEFAULT_VOCAB_SIZE, length, pairs, GapLaw.PowerLaw.DEFAULT_A, Filler.RANDOM);
    }

    public CompositionalMqar withVocabSize(int vocabSize) {
        return new CompositionalMqar(vocabSize, length, pairs, powerA, filler);
    }

    public CompositionalMqar withFiller(Filler filler) {
        return new CompositionalMqar(vocabSize, length, pairs, powerA, filler);
    }

    @Override
    public String name() {
        return "compositional-mqar";
    }

    /** With length and pairs. */
    @Override
    public String label() {
        return "compositional-mqar-" + length + "-" + pairs;
    }

    @Override
    public int labelsPerRow() {
        return pairs;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("num_kv_pairs", pairs, "input_seq_len", length);
    }

    @Override
    public OptionalDouble chance() {
        return OptionalDouble.of(1.0 / (vocabSize - firstValue()));
    }

    /** Positions before the first slot: C = 3 D. */
    public int contextLength() {
        return STRIDE * pairs;
    }

    /** Slots that queries can take: S = (L - C) / 3. */
    public int slots() {
        return (length - contextLength()) / STRIDE;
    }

    private int firstSecondKey() {
        return vocabSize / 3;
    }

    private int firstValue() {
        return 2 * firstSecondKey();
    }

    /** The largest number whose square is not above. */
    private static int root(int number) {
        return (int) StrictMath.sqrt(Math.max(0, number));
    }

    /** {@inheritDoc} It is the distance between the second keys of the query and of its combination. */
    @Override
    public int answerDistance(int[] inputs, int position) {
        int pair = position == 0 ? -1 : pairAt(inputs, position);
        return pair < 0 ? NO_DISTANCE : position - (STRIDE * pair + 1);
    }

    /** Which combination the two tokens up to a position are; -1 if none. */
    private int pairAt(int[] inputs, int position) {
        for (int i = 0; i < pairs; i++) {
            if (inputs[STRIDE * i] == inputs[position - 1]
                    && inputs[STRIDE * i + 1] == inputs[position]) {
                return i;
            }
        }
        return -1;
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        return new Generator(this, stream);
    }

    /** {@inheritDoc} As {@link Mqar#verify}, with both keys. */
    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        int[] values = new int[pairs];
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> RowCheck.noLabels(labels, contextLength()))
                .or(() -> firstProblemOfContext(inputs, values))
                .or(() ->
                        new QueryCheck(vocabSize, contextLength(), STRIDE, 2, filler)
                                .firstProblem(
                                        inputs,
                                        labels,
                                        values,
                                        position -> pairAt(inputs, position)));
    }

    private Optional<String> firstProblemOfContext(int[] inputs, int[] values) {
        boolean[] seen = new boolean[vocabSize];
        int firstKeys = 0;
        int secondKeys = 0;
        for (int i = 0; i < pairs; i++) {
            int position = STRIDE * i;
            int first = inputs[position];
            int second = inputs[position + 1];
            int value = inputs[position + 2];
            if (first < 1
                    || first >= firstSecondKey()
                    || second < firstSecondKey()
                    || second >= firstValue()
                    || value < firstValue()
                    || value >= vocabSize) {
                return RowCheck.problem(
                        position, "(%d, %d, %d) is out of range", first, second, value);
            }
            if (seen[value] || pairAt(inputs, position + 1) != i) {
                return RowCheck.problem(
                        position,
                        "combination (%d, %d) or value %d occurs twice",
                        first,
                        second,
                        value);
            }
            firstKeys += seen[first] ? 0 : 1;
            secondKeys += seen[second] ? 0 : 1;
            seen[first] = true;
            seen[second] = true;
            seen[value] = true;
            values[i] = value;
        }
        int expected = root(pairs);
        return firstKeys == expected && secondKeys == expected
                ? Optional.empty()
                : Optional.of(
                        "there are %d first and %d second keys, expected %d of each"
                                .formatted(firstKeys, secondKeys, expected));
    }

    private static final class Generator implements RowGenerator {

        private final CompositionalMqar task;
        private final CounterRandom content;
        private final CounterRandom fillers;
        private final IndexSampler firstSampler;
        private final IndexSampler secondSampler;
        private final IndexSampler orderSampler;
        private final IndexSampler valueSampler;
        private final IndexSampler slotSampler;
        private final int[] firsts;
        private final int[] seconds;
        private final int[] order;
        private final int[] values;
        private final int[] slots;

        Generator(CompositionalMqar task, RowStream stream) {
            this.task = task;
            content = stream.random(Purpose.ROW);
            fillers = stream.random(Purpose.FILLER);
            int root = root(task.pairs);
            int secondKeys = task.firstValue() - task.firstSecondKey();
            firstSampler = new DistinctSampler(task.firstSecondKey() - 1, root);
            secondSampler = new DistinctSampler(secondKeys, root);
            orderSampler = new DistinctSampler(task.pairs, task.pairs);
            valueSampler = new DistinctSampler(task.vocabSize - task.firstValue(), task.pairs);
            slotSampler = new GapLaw.PowerLaw(task.powerA).sampler(task.slots(), task.pairs);
            firsts = new int[root];
            seconds = new int[root];
            order = new int[task.pairs];
            values = new int[task.pairs];
            slots = new int[task.pairs];
        }

        @Override
        public void row(long index, int[] inputs, int[] labels) {
            content.reset(index);
            firstSampler.draw(content, firsts);
            secondSampler.draw(content, seconds);
            orderSampler.draw(content, order);
            valueSampler.draw(content, values);
            slotSampler.draw(content, slots);
            int context = task.contextLength();
            task.filler.write(fillers.reset(index), inputs, context, task.vocabSize);
            Arrays.fill(labels, IGNORE);
            for (int i = 0; i < task.pairs; i++) {
                int shown = STRIDE * i;
                int asked = context + STRIDE * slots[i];
                inputs[shown] = firsts[order[i] / firsts.length] + 1;
                inputs[shown + 1] = seconds[order[i] % firsts.length] + task.firstSecondKey();
                inputs[shown + 2] = values[i] + task.firstValue();
                inputs[asked] = inputs[shown];
                inputs[asked + 1] = inputs[shown + 1];
                labels[asked + 1] = inputs[shown + 2];
            }
        }
    }
}
