package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;

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
    private static final double DEFAULT_POWER_A = 0.01;

    /** Ratio of slot weights beyond which the lightest would be lost in a double. */
    private static final double MAX_LOG_WEIGHT_RATIO = 600.0;

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
        UserException.require(
                length % 2 == 0,
                "--length %d: MQAR places queries in pairs, so the length must be even; try %d",
                length,
                length + 1L);
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
        UserException.require(
                vocabSize > length,
                "--vocab %d: the vocabulary must be larger than the length %d; try %d",
                vocabSize,
                length,
                2L * length);
        UserException.require(
                powerA > 0 && Double.isFinite(powerA),
                "--power-a %s: the exponent of the query distances must be positive; try %s",
                powerA,
                DEFAULT_POWER_A);
        int slots = (length - 2 * pairs * passes) / 2;
        UserException.require(
                (powerA - 1) * StrictMath.log(slots) <= MAX_LOG_WEIGHT_RATIO,
                "--power-a %s: queries at short distances would have probability 0 at length %d; try 1 (uniform) or"
                        + " less",
                powerA,
                length);
    }

    /** L and D with V = 8192, a = 0.01, random fillers and one pass. */
    public static Mqar of(int length, int pairs) {
        return new Mqar(DEFAULT_VOCAB_SIZE, length, pairs, DEFAULT_POWER_A, Filler.RANDOM, 1);
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
        double[] probabilities = new double[slots()];
        double sum = 0;
        for (int s = 0; s < probabilities.length; s++) {
            probabilities[s] = StrictMath.pow(s + 1.0, powerA - 1.0);
            sum += probabilities[s];
        }
        for (int s = 0; s < probabilities.length; s++) {
            probabilities[s] /= sum;
        }
        return probabilities;
    }

    /**
     * {@inheritDoc}
     *
     * <p>It is the distance from the query to its key in the last pass over the pairs. Positions behind the context do
     * not count, since a random filler that equals the key is not followed by its value. O(D).
     */
    @Override
    public int answerDistance(int[] inputs, int position) {
        int key = inputs[position];
        int context = contextLength();
        for (int shown = context - 2 * pairs; shown < context; shown += 2) {
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

    private int firstValue() {
        return vocabSize / 2;
    }

    /**
     * {@inheritDoc}
     *
     * <p>With random fillers a filler may equal a key, so that the inputs do not tell which positions are asked: then
     * those are taken from the labels, and each label is recomputed from the pair of its key.
     */
    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        return new Verifier(this, inputs, labels).firstProblem();
    }

    private static final class Generator implements RowGenerator {

        private final Mqar task;
        private final CounterRandom content;
        private final CounterRandom fillers;
        private final DistinctSampler keySampler;
        private final DistinctSampler valueSampler;
        private final WeightedSampler slotSampler;
        private final int[] keys;
        private final int[] values;
        private final int[] slots;

        Generator(Mqar task, RowStream stream) {
            this.task = task;
            content = stream.random(Purpose.ROW);
            fillers = stream.random(Purpose.FILLER);
            keySampler = new DistinctSampler(task.firstValue() - 1, task.pairs);
            valueSampler = new DistinctSampler(task.vocabSize - task.firstValue(), task.pairs);
            slotSampler = new WeightedSampler(task.slotProbabilities());
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
            writeFillers(index, inputs);
            Arrays.fill(labels, 0, task.length, IGNORE);
            int context = task.contextLength();
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

        private void writeFillers(long index, int[] inputs) {
            int context = task.contextLength();
            switch (task.filler) {
                case ZERO -> Arrays.fill(inputs, context, task.length, 0);
                case RANDOM -> {
                    fillers.reset(index);
                    for (int position = context; position < task.length; position++) {
                        inputs[position] = fillers.nextInt(task.vocabSize);
                    }
                }
            }
        }
    }

    /** Checks one row; {@code answers[key]} is the key's value, 0 if the key is not in the context or was asked. */
    private record Verifier(Mqar task, int[] inputs, int[] labels) {

        Optional<String> firstProblem() {
            if (inputs.length != task.length || labels.length != task.length) {
                return Optional.of(
                        "inputs and labels have lengths %d and %d; expected %d"
                                .formatted(inputs.length, labels.length, task.length));
            }
            int[] answers = new int[task.firstValue()];
            return firstProblemOfContext(answers).or(() -> firstProblemOfQueries(answers));
        }

        private Optional<String> firstProblemOfContext(int[] answers) {
            boolean[] valueSeen = new boolean[task.vocabSize];
            for (int position = 0; position < task.contextLength(); position += 2) {
                int key = inputs[position];
                int value = inputs[position + 1];
                if (key < 1
                        || key >= task.firstValue()
                        || value < task.firstValue()
                        || value >= task.vocabSize) {
                    return problem(position, "pair (%d, %d) is out of range".formatted(key, value));
                }
                if (labels[position] != IGNORE || labels[position + 1] != IGNORE) {
                    return problem(position, "the context has a label");
                }
                if (position >= 2 * task.pairs) {
                    int first = position % (2 * task.pairs);
                    if (key != inputs[first] || value != inputs[first + 1]) {
                        return problem(position, "a later pass shows another pair than the first");
                    }
                } else if (answers[key] != 0 || valueSeen[value]) {
                    return problem(
                            position, "key %d or value %d occurs twice".formatted(key, value));
                }
                answers[key] = value;
                valueSeen[value] = true;
            }
            return Optional.empty();
        }

        private Optional<String> firstProblemOfQueries(int[] answers) {
            int asked = 0;
            for (int position = task.contextLength(); position < task.length; position++) {
                int token = inputs[position];
                if (token < 0 || token >= task.vocabSize) {
                    return problem(position, "token %d is out of range".formatted(token));
                }
                int answer = token < answers.length ? answers[token] : 0;
                boolean labelled = labels[position] != IGNORE;
                if (labelled) {
                    if (position % 2 != 0 || answer == 0) {
                        return problem(
                                position, "token %d has a label but is no query".formatted(token));
                    }
                    if (labels[position] != answer) {
                        return problem(
                                position,
                                "label %d, but key %d has value %d"
                                        .formatted(labels[position], token, answer));
                    }
                    answers[token] = 0;
                    asked++;
                } else if (token != 0 && task.filler == Filler.ZERO) {
                    return problem(
                            position,
                            "token %d is neither a query nor the filler 0".formatted(token));
                }
            }
            return asked == task.pairs
                    ? Optional.empty()
                    : Optional.of("%d keys are asked, expected %d".formatted(asked, task.pairs));
        }

        private static Optional<String> problem(int position, String what) {
            return Optional.of("position %d: %s".formatted(position, what));
        }
    }
}
