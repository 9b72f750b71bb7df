package dev.panthera.report;

import java.util.Map;

/** What the learning rate is chosen for: everything that distinguishes trials but the learning rate and the seed. */
public record Setting(
        String mixer, int dModel, int length, int pairs, Map<String, String> otherFactors) {

    static Setting of(ReportTrial trial) {
        return new Setting(
                trial.mixer(), trial.dModel(), trial.length(), trial.pairs(), trial.otherFactors());
    }

    /** For a sentence, such as "hyena, d_model 64, length 128, 8 pairs". */
    public String label() {
        var text = new StringBuilder(mixer);
        text.append(", d_model ").append(dModel);
        text.append(", length ").append(length);
        text.append(", ").append(pairs).append(pairs == 1 ? " pair" : " pairs");
        otherFactors.forEach(
                (name, label) -> text.append(", ").append(name).append(' ').append(label));
        return text.toString();
    }
}
