package dev.panthera.report;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** What the learning rate is chosen for: everything that distinguishes trials but the learning rate and the seed. */
public record Setting(
        String mixer, int dModel, int length, int pairs, Map<String, String> otherFactors) {

    private static final String TASK = "task";

    static Setting of(ReportTrial trial) {
        return new Setting(
                trial.mixer(), trial.dModel(), trial.length(), trial.pairs(), trial.otherFactors());
    }

    /** What the task is called; empty where length and pairs tell it from the sweep's others. */
    String task() {
        return otherFactors.getOrDefault(TASK, "");
    }

    /** The other factors that a task's panel does not tell. */
    Map<String, String> variants() {
        Map<String, String> variants = new LinkedHashMap<>(otherFactors);
        variants.remove(TASK);
        return variants;
    }

    /** Of all settings that differ in {@link #variants} alone. */
    Setting withoutVariants() {
        Map<String, String> rest = new LinkedHashMap<>(otherFactors);
        rest.keySet().retainAll(Set.of(TASK));
        return new Setting(mixer, dModel, length, pairs, rest);
    }

    /** For a sentence, such as "hyena, d_model 64, length 128, 8 pairs". */
    public String label() {
        var text = new StringBuilder(mixer);
        text.append(", d_model ").append(dModel);
        text.append(", ").append(Phrases.sizes(length, pairs));
        otherFactors.forEach(
                (name, label) -> text.append(", ").append(name).append(' ').append(label));
        return text.toString();
    }
}
