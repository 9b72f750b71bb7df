package dev.panthera.parity;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.kernels.Device;
import dev.panthera.mixer.Layer;
import dev.panthera.model.LanguageModel;
import dev.panthera.model.ModelConfig;
import dev.panthera.nn.Init;
import dev.panthera.nn.Parameterized;
import dev.panthera.nn.Parameters;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Parameter names, shapes and counts, state sizes and the statistics of initial values, of every mixer and model of the
 * original that exists here.
 */
class OriginalStatisticsTest {

    private static final int LENGTH = 64;
    private static final long SEED = 1;

    /** Means of the original are over five seeds; ours is one. */
    private static final double STANDARD_DEVIATIONS = 6;

    private static final double RELATIVE = 0.05;

    /** Numbers are recorded with six digits, which is all that a constant may differ by. */
    private static final double RECORDED_PRECISION = 1e-6;

    @Test
    void mixersHaveTheOriginalParametersAndStateSizes() throws IOException {
        Set<String> checked = new HashSet<>();
        for (JsonNode entry : read("mixer_counts_state_sizes").get("mixers")) {
            String className = entry.get("mixer").stringValue();
            try {
                if (checkMixer(className, entry)) {
                    checked.add(className);
                }
            } catch (UnknownCaseException notHere) {
                continue;
            }
        }
        assertThat(checked)
                .contains(
                        "zoology.mixers.attention.MHA",
                        "zoology.mixers.base_conv.BaseConv",
                        "zoology.mixers.based.Based",
                        "zoology.mixers.bigbird.BigBIRDAttention",
                        "zoology.mixers.convolution.ImplicitLongConvolution",
                        "zoology.mixers.convolution.LongConvolution",
                        "zoology.mixers.convolution.ShortConvolution",
                        "zoology.mixers.deepseek_nsa.SparseAttention",
                        "zoology.mixers.h3.H3",
                        "zoology.mixers.hyena.Hyena",
                        "zoology.mixers.nystromformer.NystromAttention",
                        "zoology.mixers.mra.MRAAttention",
                        "zoology.mixers.rwkv.RWKVTimeMixer",
                        "zoology.mixers.rwkv.RWKVStateMixer",
                        "zoology.mixers.mamba.Mamba",
                        "zoology.mixers.slide_attn.SlidingAttn",
                        "zoology.mixers.mlp.MLP",
                        "zoology.mixers.mlp.GLU");
    }

    private static boolean checkMixer(String className, JsonNode entry) {
        int width = entry.get("d_model").intValue();
        var layer = new Layer(0, 2, width, LENGTH);
        var init = new Init(SEED, 2);
        var arguments = Options.parse(className, entry.get("kwargs").toString());
        var mixer = OriginalModules.sequenceMixer(className, arguments);
        if (mixer.isPresent()) {
            var built = mixer.get().build(layer, init);
            assertParameters(built, entry);
            stateSizes(entry)
                    .forEach((length, size) ->
                            assertThat(built.publishedStateSize(length))
                                    .as("%s: state after %d tokens", className, length)
                                    .isEqualTo(size));
            return true;
        }
        var stateMixer = OriginalModules.stateMixer(className, arguments);
        stateMixer.ifPresent(config -> assertParameters(config.build(layer, init), entry));
        return stateMixer.isPresent();
    }

    /** By length; without those of mixers for which the original has none, and of Mamba blocks, where it has none by mistake. */
    private static Map<Integer, Long> stateSizes(JsonNode entry) {
        return entry.get("state_size").properties().stream()
                .filter(size -> !size.getValue().isNull())
                .collect(
                        Collectors.toMap(
                                size -> Integer.valueOf(size.getKey()),
                                size -> size.getValue().longValue()));
    }

    private static void assertParameters(Parameterized module, JsonNode entry) {
        Map<String, Tensor> parameters = Parameters.of(module);
        JsonNode shapes = entry.get("state_dict_shapes");
        assertThat(parameters.keySet()).containsExactlyInAnyOrderElementsOf(shapes.propertyNames());
        parameters.forEach((name, parameter) ->
                assertThat(parameter.shape()).as(name).isEqualTo(integers(shapes.get(name))));
        long count =
                parameters.values().stream()
                        .distinct()
                        .filter(Tensor::requiresGradient)
                        .mapToLong(Tensor::size)
                        .sum();
        assertThat(count).isEqualTo(entry.get("num_params_trainable").longValue());
    }

    @TestFactory
    List<DynamicTest> modelsStartAsTheOriginalsDo() throws IOException {
        List<DynamicTest> tests = new ArrayList<>();
        for (var entry : read("init_stats").get("models").properties()) {
            JsonNode model = entry.getValue();
            var options = Options.parse("model_config", model.get("model_config").toString());
            try {
                ModelConfig config = OriginalModel.config(options, LENGTH);
                LanguageModel.of(config, SEED);
                tests.add(DynamicTest.dynamicTest(entry.getKey(), () -> checkModel(config, model)));
            } catch (UnknownCaseException notHere) {
                continue;
            }
        }
        assertThat(tests.stream().map(DynamicTest::getDisplayName))
                .contains(
                        "attention+mlp",
                        "attention+glu",
                        "attention+identity",
                        "h3+mlp",
                        "nsa_hybrid+mlp",
                        "rwkv4+mlp",
                        "mamba+mlp");
        return tests;
    }

    private static void checkModel(ModelConfig config, JsonNode recorded) {
        var model = LanguageModel.of(config, SEED);
        try (var device = Device.cpu(1);
                var stream = device.newStream();
                var store =
                        new ParameterStore(
                                device, stream, device.parameterType(), Parameters.of(model))) {
            assertThat(store.trainableParameters())
                    .isEqualTo(recorded.get("num_params_trainable").longValue());
            stateSizes(recorded)
                    .forEach((length, size) ->
                            assertThat(model.publishedStateBytes(length)).isEqualTo(size));
            assertThat(store.named().keySet())
                    .containsExactlyInAnyOrderElementsOf(recorded.get("params").propertyNames());
            store.named()
                    .forEach((name, parameter) ->
                            checkValues(
                                    name,
                                    stream.toDoubleArray(parameter.values()),
                                    parameter,
                                    recorded.get("params").get(name)));
        }
    }

    private static void checkValues(
            String name, double[] values, Tensor parameter, JsonNode recorded) {
        assertThat(parameter.shape()).as(name).isEqualTo(integers(recorded.get("shape")));
        assertThat(parameter.requiresGradient())
                .as(name)
                .isEqualTo(recorded.get("kind").stringValue().equals("trainable"));
        double mean = Arrays.stream(values).average().orElseThrow();
        double variance =
                Arrays.stream(values).map(v -> (v - mean) * (v - mean)).average().orElseThrow();
        double recordedStd = recorded.get("std").doubleValue();
        double recordedMean = recorded.get("mean").doubleValue();
        assertThat(Math.abs(Math.sqrt(variance) - recordedStd))
                .as("standard deviation of %s", name)
                .isLessThanOrEqualTo(allowed(recorded, "std_sd_over_seeds", recordedStd));
        assertThat(Math.abs(mean - recordedMean))
                .as("mean of %s", name)
                .isLessThanOrEqualTo(
                        Math.max(
                                allowed(recorded, "mean_sd_over_seeds", recordedStd),
                                RECORDED_PRECISION * Math.abs(recordedMean)));
    }

    private static double allowed(JsonNode recorded, String overSeeds, double scale) {
        return Math.max(
                STANDARD_DEVIATIONS * recorded.get(overSeeds).doubleValue(), RELATIVE * scale);
    }

    private static int[] integers(JsonNode list) {
        int[] values = new int[list.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = list.get(i).intValue();
        }
        return values;
    }

    private static JsonNode read(String name) throws IOException {
        try (var stream =
                OriginalStatisticsTest.class.getResourceAsStream(
                        "/goldens/init/" + name + ".json")) {
            return new JsonMapper().readTree(stream);
        }
    }
}
