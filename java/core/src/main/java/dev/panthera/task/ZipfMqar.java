package dev.panthera.task;

import dev.panthera.UserException;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * {@link Mqar} with rare and frequent tokens, as language has, and a law of distances to choose. The rows look as there;
 * only their probabilities differ: key r = 1, 2, ... is drawn with weight {@code r^-s}, and so is the r-th value, with an
 * exponent each. Keys and values are drawn one after the other without replacement, so that both stay distinct.
 *
 * <p>Exponents of 0 and {@link GapLaw.PowerLaw} are the distribution of {@link Mqar}. Natural language has exponents near 1
 * (Zipf 1949).
 *
 * @param vocabSize V, more than L
 * @param length L, even
 * @param pairs D, at least 1
 * @param keyExponent s of the keys, at least 0; 0 is uniform
 * @param valueExponent s of the values, at least 0; 0 is uniform
 * @param gapLaw where the keys are asked
 * @param filler what stands after the context where nothing is asked
 * @param passes how often the list of pairs is repeated, at least 1
 */
public record ZipfMqar(
        int vocabSize,
        int length,
        int pairs,
        double keyExponent,
        double valueExponent,
        GapLaw gapLaw,
        Filler filler,
        int passes)
        implements TaskConfig {

    /** @throws UserException if an option is impossible; names it and what to try */
    public ZipfMqar {
        Mqar rows = new Mqar(vocabSize, length, pairs, 1, filler, passes);
        checkExponent("--key-exponent", keyExponent, rows.keyCount());
        checkExponent("--value-exponent", valueExponent, rows.valueCount());
        gapLaw.check(rows.slots(), pairs);
    }

    private static void checkExponent(String option, double exponent, int tokens) {
        UserException.require(
                exponent >= 0
                        && exponent * StrictMath.log(tokens)
                                <= WeightedSampler.MAX_LOG_WEIGHT_RATIO,
                "%s %s: the r-th of %d tokens has weight r^-exponent, which must be a positive number; try 1",
                option,
                exponent,
                tokens);
    }

    /** L and D with V = 8192, exponents of 1, the usual law of distances, random fillers and one pass. */
    public static ZipfMqar of(int length, int pairs) {
        Mqar usual = Mqar.of(length, pairs);
        return new ZipfMqar(
                usual.vocabSize(),
                length,
                pairs,
                1,
                1,
                new GapLaw.PowerLaw(usual.powerA()),
                usual.filler(),
                usual.passes());
    }

    /** The task that has the same possible rows. */
    private Mqar rows() {
        return new Mqar(vocabSize, length, pairs, 1, filler, passes);
    }

    @Override
    public String name() {
        return "zipf-mqar";
    }

    /** With length and pairs. */
    @Override
    public String label() {
        return "zipf-mqar-" + length + "-" + pairs;
    }

    @Override
    public int labelsPerRow() {
        return pairs;
    }

    @Override
    public Map<String, Integer> slices() {
        return rows().slices();
    }

    /** {@inheritDoc} Known for uniform values alone. */
    @Override
    public OptionalDouble chance() {
        return valueExponent == 0 ? rows().chance() : OptionalDouble.empty();
    }

    /** {@inheritDoc} As {@link Mqar#answerDistance}. */
    @Override
    public int answerDistance(int[] inputs, int position) {
        return Mqar.distanceToKey(inputs, position, 2 * pairs * passes, pairs);
    }

    @Override
    public RowGenerator generator(RowStream stream) {
        Mqar rows = rows();
        return new Mqar.Generator(
                rows,
                stream,
                zipf(keyExponent, rows.keyCount()),
                zipf(valueExponent, rows.valueCount()),
                gapLaw.sampler(rows.slots(), pairs));
    }

    private IndexSampler zipf(double exponent, int tokens) {
        if (exponent == 0) {
            return new DistinctSampler(tokens, pairs);
        }
        double[] weights = new double[tokens];
        for (int i = 0; i < tokens; i++) {
            weights[i] = StrictMath.pow(i + 1.0, -exponent);
        }
        return new WeightedSampler(weights);
    }

    /** {@inheritDoc} As {@link Mqar#verify}; under {@link GapLaw.Fixed} also the distance of every query. */
    @Override
    public Optional<String> verify(int[] inputs, int[] labels) {
        return rows().verify(inputs, labels).or(() -> firstWrongGap(inputs, labels));
    }

    private Optional<String> firstWrongGap(int[] inputs, int[] labels) {
        if (!(gapLaw instanceof GapLaw.Fixed(int gap))) {
            return Optional.empty();
        }
        for (int position = 0; position < length; position++) {
            if (labels[position] != IGNORE) {
                int distance = answerDistance(inputs, position);
                if (distance != gap) {
                    return RowCheck.problem(
                            position, "the key is %d tokens back, expected %d", distance, gap);
                }
            }
        }
        return Optional.empty();
    }
}
