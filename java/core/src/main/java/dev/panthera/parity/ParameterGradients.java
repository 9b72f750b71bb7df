package dev.panthera.parity;

import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tensor;
import tools.jackson.databind.json.JsonMapper;

/** The gradients of all parameters of a case. */
final class ParameterGradients {

    private static final String PREFIX = "grad.";

    private ParameterGradients() {}

    /**
     * Compares every recorded gradient with that of our parameter of the same name; tied parameters have their total
     * gradient under each name. Frozen parameters must have none.
     */
    static void compare(
            Golden golden, Workbench bench, ParameterStore store, Comparison comparison) {
        for (String name : golden.namesAfter(PREFIX)) {
            Tensor parameter = store.named().get(name);
            if (parameter == null) {
                throw new IllegalArgumentException("our model has no parameter " + name);
            }
            comparison.gradient(PREFIX + name, bench.gradient(parameter));
        }
        for (var frozen :
                new JsonMapper().readTree(golden.metadata("frozen_params").orElse("[]"))) {
            Tensor parameter = store.named().get(frozen.stringValue());
            if (parameter != null && parameter.requiresGradient()) {
                throw new IllegalArgumentException(
                        "parameter " + frozen.stringValue() + " must be frozen");
            }
        }
    }
}
