package dev.panthera.parity;

import static java.util.Map.entry;

import dev.panthera.task.CumulativeMajority;
import dev.panthera.task.CumulativeParity;
import dev.panthera.task.Majority;
import dev.panthera.task.Parity;
import dev.panthera.task.VocabMajority;
import java.util.Map;
import java.util.Optional;

/** Finds out what a recorded case is. */
final class ParityCases {

    private static final String MQAR_STATISTICS = "mqar_gaps";

    private static final Map<String, ParityCase> FUNCTIONS =
            Map.ofEntries(
                    entry("zoology.data.multiquery_ar.multiquery_ar", DataCases::mqarRows),
                    entry(
                            "zoology.data.forgetting_mqar.forgetting_mqar",
                            DataCases::forgettingRows),
                    entry(
                            "zoology.data.compositional_mqar.compositional_mqar",
                            DataCases::compositionalRows),
                    entry(
                            "zoology.data.stacked_mqar.continuous_mqar",
                            DataCases::continuousMqarRows),
                    entry(
                            "zoology.data.circuits.parity",
                            DataCases.circuit((vocab, length) -> new Parity(length))),
                    entry(
                            "zoology.data.circuits.majority",
                            DataCases.circuit((vocab, length) -> new Majority(length))),
                    entry(
                            "zoology.data.circuits.vocab_majority",
                            DataCases.circuit(VocabMajority::new)),
                    entry(
                            "zoology.data.circuits.cumulative_parity",
                            DataCases.circuit((vocab, length) -> new CumulativeParity(length - 1))),
                    entry(
                            "zoology.data.circuits.cumulative_majority",
                            DataCases.circuit((vocab, length) -> new CumulativeMajority(length))),
                    entry(
                            "zoology.metrics.compute_ce_with_embeddings",
                            LossCases::crossEntropyWithEmbeddings),
                    entry("zoology.metrics.compute_mse", LossCases::meanSquaredError));

    private ParityCases() {}

    /**
     * How to run a case: known by its module class, its model class or its function, and without these by its name.
     *
     * @throws UnknownCaseException if there is no such case
     */
    static ParityCase of(Golden golden) {
        Optional<String> module = golden.metadata("module_class");
        if (module.isPresent()) {
            boolean map = module.get().startsWith(OriginalFeatureMaps.PACKAGE);
            return map ? new FeatureMapCase() : new ModuleCase();
        }
        Optional<String> model = golden.metadata("model_class");
        if (model.isPresent() || golden.metadata("model_config").isPresent()) {
            return model(golden, model.orElse(OriginalModel.LANGUAGE_MODEL));
        }
        Optional<String> function = golden.metadata("function");
        if (function.isPresent()) {
            return known(
                    Optional.ofNullable(FUNCTIONS.get(function.get())),
                    "function " + function.get());
        }
        if (golden.name().startsWith(MQAR_STATISTICS)) {
            return DataCases::mqarSlots;
        }
        return known(KernelCases.named(golden.name()), "kernel " + golden.name());
    }

    private static ParityCase model(Golden golden, String className) {
        return switch (className) {
            case OriginalModel.LANGUAGE_MODEL ->
                    golden.has("batch_inputs") ? new TrajectoryCase() : new ModelCase();
            case OriginalModel.CONTINUOUS_MODEL -> new ContinuousModelCase();
            default -> throw new UnknownCaseException("class " + className);
        };
    }

    private static ParityCase known(Optional<ParityCase> found, String what) {
        return found.orElseThrow(() -> new UnknownCaseException(what));
    }
}
