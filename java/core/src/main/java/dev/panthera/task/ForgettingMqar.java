package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * {@link Mqar} in which some keys get another value before they are asked: a model must replace what it keeps, not only
 * add to it.
 *
 * <pre>
 *     position   0  1  2  3 |  4  5 |  6  7  8  9 ...    D = 2 pairs, U = 1 update: context of C = 2 (D + U) = 6 positions
 *     input     K0 V0 K1 V1 | K1 V' | K1  .  .  . K0 ... '.': filler
 *     label      .  .  .  . |  .  . | V'  .  .  . V0 ... '.': ignored
 * </pre>
 *
 * Keys, values, slots and fillers are as there. The updated keys are U of the D, distinct and uniform, in random order. The
 * new value of a key is uniform on all values but its old one; it may be another key's value. Each key is asked once,
 * updated or not.
 *
 * <p>Source: the original's {@code forgetting_mqar}. It excludes another value: that of the key j of the context for the
 * j-th update, whichever key that update is of, so that an update may repeat the old value. {@code asPublished} does the
 * same.
 *
 * @param vocabSize V, more than L
 * @param length L, even
 * @param pairs D, at least 1
 * @param updates U, from 0 to D
 * @param powerA exponent of the slot weights, see {@link GapLaw.PowerLaw}
 * @param filler what stands after the context where nothing is asked
 * @param asPublished whether new values are drawn as in the original
 */
public record ForgettingMqar(
        int vocabSize,
        int length,
        int pairs,
        int updates,
        double powerA,
        Filler filler,
        boolean asPublished)
        implements TaskConfig {

    private static final int DEFAULT_VOCAB_SIZE = 8192;

    /** @throws UserException if an option is impossible; names it and what to try */
    public ForgettingMqar {
        Mqar.requireEven(length);
        UserException.require(
                pairs >= 1,
                "--pairs %d: forgetting MQAR needs at least one key-value pair; try 4",
                pairs);
        UserException.require(
                updates >= 0 && updates <= pairs,
                "--updates %d: between none and each of the %d pairs can get another value; try %d",
                updates,
                pairs,
                Math.max(1, pairs / 2));
        long needed = 4L * pairs + 2L * updates;
        UserException.require(
                needed <= length,
                "--length %d: %d pairs, %d updates and a query of each key need %d positions; try --length %d or fewer"
                        + " pairs",
                length,
                pairs,
                updates,
                needed,
                needed);
        Mqar.requireVocabAbove(length, vocabSize);
        new GapLaw.PowerLaw(powerA).check((length - 2 * (pairs + updates)) / 2, pairs);
    }

    /** L, D and U with V = 8192, a = 0.01, random fillers, and new values that are new. */
    public static ForgettingMqar of(int length, int pairs, int updates) {
        return new ForgettingMqar(
                DEFAULT_VOCAB_SIZE,
                length,
                pairs,
                updates,
                GapLaw.PowerLaw.DEFAULT_A,
                Filler.RANDOM,
                false);
    }

    public ForgettingMqar withVocabSize(int vocabSize) {
        return new ForgettingMqar(vocabSize, length, pairs, updates, powerA, filler, asPublished);
    }

    public ForgettingMqar withFiller(Filler filler) {
        return new ForgettingMqar(vocabSize, length, pairs, updates, powerA, filler, asPublished);
    }

    @Override
    public String name() {
        return "forgetting-mqar";
    }

    /** With length, pairs and updates. */
    @Override
    public String label() {
        return "forgetting-mqar-%d-%d-%d".formatted(length, pairs, updates);
    }

    @Override
    public int labelsPerRow() {
        return pairs;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("num_kv_pairs", pairs, "num_updates", updates, "input_seq_len", length);
    }

    @Override
    public OptionalDouble chance() {
        return OptionalDouble.of(1.0 / (vocabSize - firstValue()));
    }

    /** Positions before the first slot: C = 2 (D + U). */
    public int contextLength() {
        return 2 * (pairs + updates);
    }

    /** Slots that queries can take: S = (L - C) / 2. */
    public int slots() {
        return (length - contextLength()) / 2;
    }

    private int firstValue() {
        return vocabSize / 2;
    }

    /** {@inheritDoc} It is the distance from the query to its key in the update, or in its pair if it has none. */
    @Override
    public int answerDistance(int[] inputs, int position) {
        int key = inputs[position];
        for (int shown = contextLength() - 2; shown >= 0; shown -= 2) {
            if (inputs[shown] == key) {
                return position - shown;
            }
        }
        return NO_DISTANCE;
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        return new Generator(this, stream);
    }

    /** {@inheritDoc} As {@link Mqar#verify}, the value of a key being that of its update if it has one. */
    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        var shown = new ShownPairs(vocabSize, pairs);
        return RowCheck.lengths(this, inputs, labels)
                .or(() -> RowCheck.noLabels(labels, contextLength()))
                .or(() -> shown.read(inputs))
                .or(() -> firstProblemOfUpdates(inputs, shown))
                .or(() ->
                        new QueryCheck(vocabSize, contextLength(), 2, 1, filler)
                                .firstProblem(
                                        inputs,
                                        labels,
                                        shown.values(),
                                        position -> shown.pairOf(inputs[position])));
    }

    private Optional<String> firstProblemOfUpdates(int[] inputs, ShownPairs shown) {
        int[] original = shown.values().clone();
        boolean[] updated = new boolean[pairs];
        for (int j = 0; j < updates; j++) {
            int position = 2 * (pairs + j);
            Optional<String> outside = shown.outOfRange(inputs, position);
            if (outside.isPresent()) {
                return outside;
            }
            int value = inputs[position + 1];
            int pair = shown.pairOf(inputs[position]);
            if (pair < 0 || updated[pair]) {
                return RowCheck.problem(
                        position, "key %d has no pair, or two updates", inputs[position]);
            }
            if (value == original[asPublished ? j : pair]) {
                return RowCheck.problem(
                        position, "value %d is the one that cannot be drawn", value);
            }
            updated[pair] = true;
            shown.values()[pair] = value;
        }
        return Optional.empty();
    }

    private static final class Generator implements RowGenerator {

        private final ForgettingMqar task;
        private final CounterRandom content;
        private final CounterRandom fillers;
        private final IndexSampler keySampler;
        private final IndexSampler valueSampler;
        private final IndexSampler updateSampler;
        private final IndexSampler slotSampler;
        private final int valueCount;
        private final int[] keys;
        private final int[] values;
        private final int[] updated;
        private final int[] newValues;
        private final int[] slots;

        Generator(ForgettingMqar task, RowStream stream) {
            this.task = task;
            content = stream.random(Purpose.ROW);
            fillers = stream.random(Purpose.FILLER);
            valueCount = task.vocabSize - task.firstValue();
            keySampler = new DistinctSampler(task.firstValue() - 1, task.pairs);
            valueSampler = new DistinctSampler(valueCount, task.pairs);
            updateSampler = new DistinctSampler(task.pairs, task.updates);
            slotSampler = new GapLaw.PowerLaw(task.powerA).sampler(task.slots(), task.pairs);
            keys = new int[task.pairs];
            values = new int[task.pairs];
            updated = new int[task.updates];
            newValues = new int[task.updates];
            slots = new int[task.pairs];
        }

        @Override
        public void row(long index, int[] inputs, int[] labels) {
            content.reset(index);
            keySampler.draw(content, keys);
            valueSampler.draw(content, values);
            updateSampler.draw(content, updated);
            slotSampler.draw(content, slots);
            int context = task.contextLength();
            task.filler.write(fillers.reset(index), inputs, context, task.vocabSize);
            Arrays.fill(labels, IGNORE);
            for (int i = 0; i < task.pairs; i++) {
                show(inputs, 2 * i, i);
            }
            drawNewValues();
            for (int j = 0; j < task.updates; j++) {
                values[updated[j]] = newValues[j];
                show(inputs, 2 * (task.pairs + j), updated[j]);
            }
            for (int i = 0; i < task.pairs; i++) {
                int position = context + 2 * slots[i];
                inputs[position] = keys[i] + 1;
                labels[position] = values[i] + task.firstValue();
            }
        }

        private void drawNewValues() {
            for (int j = 0; j < task.updates; j++) {
                int old = values[task.asPublished ? j : updated[j]];
                int other = content.nextInt(valueCount - 1);
                newValues[j] = other < old ? other : other + 1;
            }
        }

        private void show(int[] inputs, int position, int pair) {
            inputs[position] = keys[pair] + 1;
            inputs[position + 1] = values[pair] + task.firstValue();
        }
    }
}
