package dev.panthera.task;

import dev.panthera.UserException;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Multi-query associative recall on vectors: a position shows a key and its value together, so that one layer that mixes over
 * time can solve it. The pairs are shown in {@code passes} orders, then each key is asked once, in a further order.
 *
 * <pre>
 *     position    0        1       2       3  |   4       5       6       7       D = 4 pairs, one pass: L = (passes + 1) D
 *     input    K0 V0   K1 V1   K2 V2   K3 V3  |  K2 .    K0 .    K3 .    K1 .     '.': nothing, zeros
 *     label       .        .       .       .  |   V2      V0      V3      V1      '.': ignored
 * </pre>
 *
 * Keys are distinct and uniform on [0, V/2), values on [V/2, V); a label counts the values from V/2 on. Rows are made of ids; a
 * model looks the vectors up ({@link TaskConfig#continuous}).
 *
 * <p>Source: the code of Arora et al. 2023 (arXiv 2312.04927), its stacked MQAR. Where one mapping is shared, that code redraws
 * keys and values for each sequence nevertheless; here a key has the same value in all rows of a data set.
 *
 * @param vocabSize V, at least 2 D
 * @param pairs D, at least 1
 * @param passes how often each pair is shown, at least 1
 * @param sharedMapping whether a key has the same value in all rows of all splits, drawn by the data's seed, so that a model may
 *     learn it by heart; otherwise each row draws its own
 */
public record ContinuousMqar(int vocabSize, int pairs, int passes, boolean sharedMapping)
        implements TaskConfig {

    private static final int DEFAULT_VOCAB_SIZE = 8192;

    /** @throws UserException if an option is impossible; names it and what to try */
    public ContinuousMqar {
        UserException.require(
                pairs >= 1,
                "--pairs %d: continuous MQAR needs at least one key-value pair; try 8",
                pairs);
        UserException.require(
                passes >= 1, "--passes %d: the pairs must be shown at least once; try 1", passes);
        UserException.require(
                (passes + 1L) * pairs <= Integer.MAX_VALUE / 2,
                "--passes %d: %d pairs shown so often are too many positions; try fewer",
                passes,
                pairs);
        UserException.require(
                vocabSize / 2 >= pairs,
                "--vocab %d: half of the vocabulary are keys, fewer than %d pairs; try %d",
                vocabSize,
                pairs,
                2L * pairs);
    }

    /** D pairs with V = 8192, one pass and a mapping for each row. */
    public static ContinuousMqar of(int pairs) {
        return new ContinuousMqar(DEFAULT_VOCAB_SIZE, pairs, 1, false);
    }

    public ContinuousMqar withVocabSize(int vocabSize) {
        return new ContinuousMqar(vocabSize, pairs, passes, sharedMapping);
    }

    @Override
    public String name() {
        return "continuous-mqar";
    }

    /** With the number of pairs. */
    @Override
    public String label() {
        return name() + "-" + pairs;
    }

    @Override
    public boolean continuous() {
        return true;
    }

    @Override
    public int length() {
        return (passes + 1) * pairs;
    }

    @Override
    public int labelsPerRow() {
        return pairs;
    }

    @Override
    public Map<String, Integer> slices() {
        return Map.of("num_kv_pairs", pairs, "num_passes", passes);
    }

    /** Any value is as good a guess as the others; a shared mapping has one for each key, so none but these occur. */
    @Override
    public OptionalDouble chance() {
        return OptionalDouble.of(1.0 / (sharedMapping ? firstValue() : vocabSize - firstValue()));
    }

    /** Positions before the first query. */
    public int contextLength() {
        return passes * pairs;
    }

    private int firstValue() {
        return vocabSize / 2;
    }

    /**
     * {@inheritDoc}
     *
     * <p>It is the distance from the query to its key in the last pass. O(D).
     */
    @Override
    public int answerDistance(int[] inputs, int position) {
        int context = contextLength();
        for (int shown = context - pairs; shown < context; shown++) {
            if (inputs[2 * shown] == inputs[2 * position]) {
                return position - shown;
            }
        }
        return NO_DISTANCE;
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        return new Generator(this, stream);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Which mapping the rows of a data set share depends on its seed, which a row does not tell; so of a row's mapping is checked
     * only that it is one.
     */
    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        return new Verifier(this, inputs, labels).firstProblem();
    }

    private static final class Generator implements RowGenerator {

        private final ContinuousMqar task;
        private final CounterRandom random;
        private final DistinctSampler keySampler;
        private final DistinctSampler valueSampler;

        /** The value of each key, counted from the first; empty where each row has its own mapping. */
        private final int[] shared;

        private final int[] keys;
        private final int[] values;
        private final int[] order;

        Generator(ContinuousMqar task, RowStream stream) {
            this.task = task;
            random = stream.random(Purpose.ROW);
            int possibleValues = task.vocabSize - task.firstValue();
            keySampler = new DistinctSampler(task.firstValue(), task.pairs);
            valueSampler = new DistinctSampler(possibleValues, task.pairs);
            shared =
                    task.sharedMapping
                            ? CounterRandom.of(stream.seed(), Purpose.SHARED, 0, 0)
                                    .permutation(possibleValues)
                            : new int[0];
            keys = new int[task.pairs];
            values = new int[task.pairs];
            order = new int[task.pairs];
        }

        @Override
        public void row(long index, int[] inputs, int[] labels) {
            random.reset(index);
            keySampler.draw(random, keys);
            if (task.sharedMapping) {
                Arrays.setAll(values, i -> shared[keys[i]]);
            } else {
                valueSampler.draw(random, values);
            }
            Arrays.setAll(order, i -> i);
            Arrays.fill(labels, 0, task.length(), IGNORE);
            for (int position = 0; position < task.length(); position++) {
                if (position % task.pairs == 0) {
                    random.shuffle(order);
                }
                int pair = order[position % task.pairs];
                boolean shown = position < task.contextLength();
                inputs[2 * position] = keys[pair];
                inputs[2 * position + 1] =
                        shown ? task.firstValue() + values[pair] : task.vocabSize;
                labels[position] = shown ? IGNORE : values[pair];
            }
        }
    }

    /** Checks one row. */
    private static final class Verifier {

        private static final int UNKNOWN = -1;

        private final ContinuousMqar task;
        private final int[] inputs;
        private final int[] labels;

        /** The value of each key that was shown. */
        private final int[] answers;

        /** In which pass a key was shown last, from 1; the queries are the one after the last. */
        private final int[] seenIn;

        private final boolean[] valueSeen;

        Verifier(ContinuousMqar task, int[] inputs, int[] labels) {
            this.task = task;
            this.inputs = inputs;
            this.labels = labels;
            answers = new int[task.firstValue()];
            Arrays.fill(answers, UNKNOWN);
            seenIn = new int[answers.length];
            valueSeen = new boolean[task.vocabSize];
        }

        Optional<String> firstProblem() {
            Optional<String> problem =
                    RowCheck.lengths(task, inputs, labels)
                            .or(() -> RowCheck.noLabels(labels, task.contextLength()));
            for (int i = 0; problem.isEmpty() && i < task.length(); i++) {
                problem = problem(i);
            }
            return problem;
        }

        private Optional<String> problem(int position) {
            int key = inputs[2 * position];
            int pass = position / task.pairs + 1;
            if (key < 0 || key >= answers.length) {
                return RowCheck.problem(position, "key %d is out of range", key);
            } else if (seenIn[key] != pass - 1) {
                return RowCheck.problem(
                        position, "key %d occurs twice, or was not shown before", key);
            }
            seenIn[key] = pass;
            return pass <= task.passes ? pairProblem(position, key) : queryProblem(position, key);
        }

        private Optional<String> pairProblem(int position, int key) {
            int value = inputs[2 * position + 1];
            int known = answers[key];
            if (value < task.firstValue() || value >= task.vocabSize) {
                return RowCheck.problem(position, "value %d is out of range", value);
            } else if (known == UNKNOWN && valueSeen[value]) {
                return RowCheck.problem(position, "value %d occurs with two keys", value);
            } else if (known != UNKNOWN && known != value) {
                return RowCheck.problem(
                        position, "key %d has value %d, before it had %d", key, value, known);
            }
            answers[key] = value;
            valueSeen[value] = true;
            return Optional.empty();
        }

        private Optional<String> queryProblem(int position, int key) {
            return inputs[2 * position + 1] == task.vocabSize
                    ? RowCheck.label(labels, position, answers[key] - task.firstValue())
                    : RowCheck.problem(position, "a query has a value");
        }
    }
}
