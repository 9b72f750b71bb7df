package dev.panthera.report;

import dev.panthera.sweep.TrialStatus;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a report says about a trial.
 *
 * @param id unique in the sweep
 * @param mixer the sweep's label of the sequence mixer
 * @param length of the rows trained on; the largest of a mixture
 * @param pairs key-value pairs per row; the largest of a mixture
 * @param factors what the sweep varies: a label by name, in the order of the sweep. Those that have a component here
 *     (mixer, d_model, length, pairs, learning rate, seed) may be among them
 * @param parameters number of trained values
 * @param stateBytes of the model's recurrent state for the longest test rows, {@linkplain
 *     dev.panthera.model.SequenceModel#publishedStateBytes counted as published}; 0 if it keeps nothing or that is unknown
 * @param validationAccuracy between 0 and 1; null before it is known or if not finite
 * @param testAccuracy between 0 and 1; null before it is known or if not finite
 * @param testSlices test accuracy by slice: {@link #BY_PAIRS} to the number of pairs, {@link #BY_DISTANCE} to the upper
 *     bound of a bucket of distances between key and query
 * @param epochs in order
 * @param seconds of wall time; 0 if unknown
 * @param tokensPerSecond of training; 0 if unknown
 * @param message why it failed
 * @param configJson the trial's whole configuration
 */
public record ReportTrial(
        String id,
        String mixer,
        int dModel,
        int length,
        int pairs,
        double learningRate,
        long seed,
        Map<String, String> factors,
        TrialStatus status,
        long parameters,
        long stateBytes,
        @Nullable Double validationAccuracy,
        @Nullable Double testAccuracy,
        Map<String, Map<Integer, Double>> testSlices,
        List<EpochPoint> epochs,
        double seconds,
        double tokensPerSecond,
        @Nullable String message,
        String configJson) {

    /** The slices by number of key-value pairs. */
    public static final String BY_PAIRS = "num_kv_pairs";

    /** The slices by distance between a query and the key that it asks for. */
    public static final String BY_DISTANCE = "key_query_distance";

    /** Names, in lower case and without punctuation, of factors that are components. */
    private static final Set<String> COMPONENTS =
            Set.of(
                    "mixer",
                    "sequencemixer",
                    "dmodel",
                    "width",
                    "length",
                    "inputseqlen",
                    "seqlen",
                    "pairs",
                    "numkvpairs",
                    "learningrate",
                    "lr",
                    "seed");

    public ReportTrial {
        factors = Collections.unmodifiableMap(new LinkedHashMap<>(factors));
        validationAccuracy = Statistics.finiteOrNull(validationAccuracy);
        testAccuracy = Statistics.finiteOrNull(testAccuracy);
        Map<String, Map<Integer, Double>> slices = new TreeMap<>();
        testSlices.forEach((name, values) ->
                slices.put(name, Collections.unmodifiableMap(new TreeMap<>(values))));
        testSlices = Collections.unmodifiableMap(slices);
        epochs = List.copyOf(epochs);
    }

    /** The same without a factor. */
    ReportTrial without(String factor) {
        Map<String, String> fewer = new LinkedHashMap<>(factors);
        fewer.remove(factor);
        return new ReportTrial(
                id,
                mixer,
                dModel,
                length,
                pairs,
                learningRate,
                seed,
                fewer,
                status,
                parameters,
                stateBytes,
                validationAccuracy,
                testAccuracy,
                testSlices,
                epochs,
                seconds,
                tokensPerSecond,
                message,
                configJson);
    }

    /** The factors that are no component, in the order of the sweep. */
    public Map<String, String> otherFactors() {
        Map<String, String> others = new LinkedHashMap<>();
        factors.forEach((name, label) -> {
            if (!COMPONENTS.contains(plain(name))) {
                others.put(name, label);
            }
        });
        return Collections.unmodifiableMap(others);
    }

    private static String plain(String name) {
        String last = name.substring(name.lastIndexOf('.') + 1);
        return last.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
    }

    boolean done() {
        return status == TrialStatus.DONE;
    }
}
