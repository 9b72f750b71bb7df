package dev.panthera.report;

import dev.panthera.mixer.Mixers;
import dev.panthera.sweep.StoredTrial;
import dev.panthera.sweep.SweepStore;
import dev.panthera.train.EpochReport;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A sweep's store as a report's summary. Configurations are read as trees, so that a report needs no experiment's classes. */
public final class StoredSweep {
    private static final JsonMapper JSON = JsonMapper.shared();

    private StoredSweep() {}

    /** What the store knows now. */
    public static SweepSummary summary(SweepStore store, SelectionProtocol protocol) {
        List<StoredTrial> stored = store.trials();
        Map<String, List<EpochReport>> epochs = store.epochs();
        List<ReportTrial> trials =
                withoutTaskLabels(
                        stored.stream()
                                .map(trial ->
                                        trial(trial, epochs.getOrDefault(trial.id(), List.of())))
                                .toList());
        Map<String, String> provenance = new LinkedHashMap<>();
        store.get("version").ifPresent(version -> provenance.put("version", version));
        String devices =
                stored.stream()
                        .map(StoredTrial::device)
                        .filter(device -> device != null)
                        .distinct()
                        .collect(Collectors.joining("; "));
        if (!devices.isEmpty()) {
            provenance.put("device", devices);
        }
        store.get("begun").ifPresent(begun -> provenance.put("begun", begun));
        return new SweepSummary(
                store.get("name").orElse("sweep"),
                store.get("description").orElse(""),
                trials,
                protocol,
                provenance);
    }

    private static ReportTrial trial(StoredTrial trial, List<EpochReport> epochs) {
        JsonNode config = JSON.readTree(trial.config());
        var test = trial.test();
        JsonNode train = config.at("/data/train");
        return new ReportTrial(
                trial.id(),
                trial.factors().getOrDefault("mixer", label(config, trial.causal())),
                config.at("/model/d_model").asInt(0),
                largest(train, "length"),
                largest(train, "pairs"),
                config.at("/learning_rate").asDouble(0),
                config.at("/seed").asLong(0),
                trial.factors(),
                trial.status(),
                trial.parameters(),
                trial.stateBytes(),
                trial.validationAccuracy(),
                test == null ? null : test.accuracy(),
                test == null ? Map.of() : test.slices(),
                points(epochs),
                trial.seconds(),
                trial.tokensPerSecond(),
                trial.message(),
                trial.config());
    }

    private static String label(JsonNode config, boolean causal) {
        return mixer(config.at("/model/mixer")) + (causal ? "" : Mixers.NON_CAUSAL);
    }

    /** The mixer's name; a hybrid is called after its last mixer, which recalls what a convolution before it has joined. */
    private static String mixer(JsonNode config) {
        JsonNode configs = config.path("configs");
        return configs.isEmpty()
                ? config.path("name").asString("")
                : mixer(configs.get(configs.size() - 1));
    }

    private static int largest(JsonNode segments, String key) {
        int largest = 0;
        for (JsonNode segment : segments) {
            largest = Math.max(largest, segment.path("task").path(key).asInt(0));
        }
        return largest;
    }

    private static List<EpochPoint> points(List<EpochReport> epochs) {
        double[] seconds = {0};
        return epochs.stream()
                .map(epoch -> {
                    seconds[0] += epoch.seconds();
                    return new EpochPoint(
                            epoch.epoch(),
                            epoch.trainLoss(),
                            epoch.deciding().loss(),
                            epoch.deciding().accuracy(),
                            epoch.tokensPerSecond(),
                            seconds[0]);
                })
                .toList();
    }

    /** A task that length and pairs tell from the others needs no label of its own. */
    private static List<ReportTrial> withoutTaskLabels(List<ReportTrial> trials) {
        Map<Set<Integer>, String> labels = new HashMap<>();
        for (ReportTrial trial : trials) {
            String label = trial.factors().getOrDefault("task", "");
            String other = labels.put(Set.of(trial.length(), -1 - trial.pairs()), label);
            if (other != null && !other.equals(label)) {
                return trials;
            }
        }
        return trials.stream().map(trial -> trial.without("task")).toList();
    }
}
