package dev.panthera.report;

import dev.panthera.sweep.TrialStatus;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A sweep as its report sees it.
 *
 * @param provenance what the reader needs to trust and repeat it: version and commit, device, date, command, ...; a
 *     text by label, in the order in which they are shown
 */
public record SweepSummary(
        String name,
        String description,
        List<ReportTrial> trials,
        SelectionProtocol protocol,
        Map<String, String> provenance) {
    public SweepSummary {
        trials = List.copyOf(trials);
        provenance = Collections.unmodifiableMap(new LinkedHashMap<>(provenance));
    }

    /** How many trials have that status. */
    public long count(TrialStatus status) {
        return trials.stream().filter(trial -> trial.status() == status).count();
    }
}
