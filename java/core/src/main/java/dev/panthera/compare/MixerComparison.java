package dev.panthera.compare;

import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a comparison came to.
 *
 * @param task what a person calls it
 * @param results best first: by accuracy, of equal ones the smaller state; mixers without an accuracy last
 * @param costs of training steps, by length and then in the order of the plan
 * @param notes what was left out, a sentence each
 * @param settings what the reader needs to repeat it: a text by label, in order
 */
public record MixerComparison(
        String task,
        List<MixerResult> results,
        List<StepCost> costs,
        List<String> notes,
        Map<String, String> settings) {
    private static final Comparator<MixerResult> BEST_FIRST =
            Comparator.<MixerResult>comparingDouble(
                            result -> result.testAccuracy() == null ? 1 : -result.testAccuracy())
                    .thenComparingLong(MixerResult::stateBytes)
                    .thenComparing(MixerResult::mixer);

    public MixerComparison {
        results = results.stream().sorted(BEST_FIRST).toList();
        costs = List.copyOf(costs);
        notes = List.copyOf(notes);
        settings = Collections.unmodifiableMap(new LinkedHashMap<>(settings));
    }

    /** The measured lengths, ascending; those alone at which some mixer could be timed. */
    public List<Integer> lengths() {
        return costs.stream()
                .filter(StepCost::measured)
                .map(StepCost::length)
                .distinct()
                .sorted()
                .toList();
    }

    /** The mixers, best first. */
    public List<String> mixers() {
        return results.stream().map(MixerResult::mixer).toList();
    }

    /** What a mixer's step cost at a length; empty if it was not measured or failed. */
    public Optional<StepCost> cost(String mixer, int length) {
        return costs.stream()
                .filter(cost ->
                        cost.measured() && cost.length() == length && cost.mixer().equals(mixer))
                .findFirst();
    }

    /** Everything that failed, a line each. */
    public List<String> failures() {
        var ofTrials =
                results.stream()
                        .flatMap(result ->
                                result.failures().stream()
                                        .map(failure -> result.mixer() + ", " + failure));
        var ofSteps =
                costs.stream()
                        .filter(cost -> !cost.measured())
                        .map(cost ->
                                "%s, length %d: %s"
                                        .formatted(cost.mixer(), cost.length(), cost.failure()));
        return Stream.concat(ofTrials, ofSteps).toList();
    }
}
