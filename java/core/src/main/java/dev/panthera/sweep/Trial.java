package dev.panthera.sweep;

import dev.panthera.mixer.Mixers;
import dev.panthera.train.TrainConfig;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * One run of a sweep.
 *
 * @param id hash of everything that decides its result; see {@link TrialIdentity}
 * @param factors label of its level by name of the factor
 * @param config what is run
 */
public record Trial(String id, Map<String, String> factors, TrainConfig config) {
    public Trial {
        factors = Collections.unmodifiableMap(new LinkedHashMap<>(factors));
    }

    /** What a person reads, for example {@code mixer=attention d_model=64 lr=0.001}; with a mark if the mixer looks ahead. */
    public String label() {
        return label(factors, config.model().mixer().causal());
    }

    static String label(Map<String, String> factors, boolean causal) {
        boolean marked =
                causal
                        || factors.values().stream()
                                .anyMatch(label -> label.endsWith(Mixers.NON_CAUSAL));
        return label(factors) + (marked ? "" : Mixers.NON_CAUSAL);
    }

    static String label(Map<String, String> factors) {
        return factors.isEmpty()
                ? "the only trial"
                : factors.entrySet().stream()
                        .map(factor -> factor.getKey() + "=" + factor.getValue())
                        .collect(Collectors.joining(" "));
    }
}
