package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.io.SafetensorsFile;
import dev.panthera.io.SafetensorsWriter;
import dev.panthera.mixer.MixerContracts.Contract;
import dev.panthera.model.LanguageModel;
import dev.panthera.model.ModelConfig;
import dev.panthera.nn.Init;
import dev.panthera.random.CounterRandom;
import dev.panthera.random.Purpose;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import dev.panthera.train.AdamW;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every sequence mixer must do. Parameter counts, state sizes and initial values are compared with the original's
 * for all mixers by {@code dev.panthera.parity.OriginalStatisticsTest}.
 */
class MixerContractTest {

    private static final int WIDTH = MixerContracts.WIDTH;
    private static final int BATCH = 3;

    /** A gradient below this share of the largest may be a sum that cancels: rounding alone. */
    private static final double CANCELLING = 1e-3;

    /** The same of a bias of keys alone, which adds one number to all scores of a query, so that softmax hardly sees it. */
    private static final double CANCELLING_OF_KEY_BIAS = 1e-2;

    private static final int[] LENGTHS = {1, 2, 5, 17, 64, 100};

    private static double cancelling(String name) {
        return name.equals("key.bias") ? CANCELLING_OF_KEY_BIAS : CANCELLING;
    }

    static List<Contract> contracts() {
        return MixerContracts.withShown();
    }

    @Test
    void everyRegisteredMixerHasAContractAndAGoldenIfTheOriginalHasIt() {
        List<Contract> registered = MixerContracts.all();
        assertThat(registered.stream().map(Contract::name).collect(Collectors.toSet()))
                .containsExactlyInAnyOrderElementsOf(Mixers.SEQUENCE.names());
        for (Contract contract : registered) {
            if (contract.golden() == null) {
                continue;
            }
            assertThat(
                            getClass()
                                    .getResource(
                                            "/goldens/mixers/"
                                                    + contract.golden()
                                                    + ".safetensors"))
                    .as(contract.golden())
                    .isNotNull();
        }
    }

    /** Bounded changes of a token must leave every bit of earlier outputs, and of other examples, as it was. */
    @ParameterizedTest
    @MethodSource("contracts")
    void outputsDependOnNoLaterTokenAndOnNoOtherExample(Contract contract) {
        try (var rig = Rig.cpu(2)) {
            for (int length : new int[] {2, 17, 100}) {
                Mixer mixer = build(contract, length, 1);
                rig.parameters(mixer);
                double[] input = Rig.gaussian(2, BATCH * length * WIDTH);
                double[] before = forward(rig, mixer, input, length);
                for (int token : new int[] {0, 1, length / 2, length - 1}) {
                    int begin = (length + token) * WIDTH;
                    double[] changed = input.clone();
                    for (int i = begin; i < begin + WIDTH; i++) {
                        changed[i] += 1 + i % 3;
                    }
                    double[] after = forward(rig, mixer, changed, length);
                    int nextExample = 2 * length * WIDTH;
                    boolean leftOut = isZero(before, begin) && isZero(after, begin);
                    assertThat(Arrays.mismatch(before, after))
                            .as("length %d, token %d of the second example", length, token)
                            .isBetween(
                                    leftOut ? -1 : begin,
                                    leftOut ? nextExample - 1 : begin + WIDTH - 1)
                            .isNotIn(IntStream.range(0, begin).boxed().toList());
                    assertThat(Arrays.copyOfRange(after, nextExample, after.length))
                            .isEqualTo(Arrays.copyOfRange(before, nextExample, before.length));
                }
            }
        }
    }

    /** Whether a position is one that attention by selection leaves out. */
    private static boolean isZero(double[] outputs, int begin) {
        return Arrays.stream(outputs, begin, begin + WIDTH).allMatch(value -> value == 0);
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void gradientsAreThoseOfFiniteDifferences(Contract contract) {
        int length = 5;
        try (var rig = Rig.exact()) {
            Mixer mixer = build(contract, length, 1);
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            Tensor x = rig.leaf(Rig.gaussian(2, 2 * length * WIDTH), 2, length, WIDTH);
            List<Tensor> inputs = trained(store);
            inputs.add(x);
            Gradients.check(rig, inputs, tape -> mixer.forward(tape, x));
        }
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void anyLengthGivesTheOutputsAndGradientsOfTheReference(Contract contract) {
        for (int length : LENGTHS) {
            Map<String, double[]> fast;
            Map<String, double[]> exact;
            try (var rig = Rig.cpu(2)) {
                fast = results(rig, contract, length);
            }
            try (var rig = Rig.exact()) {
                exact = results(rig, contract, length);
            }
            double gradientScale =
                    exact.entrySet().stream()
                            .filter(entry -> !entry.getKey().equals("output"))
                            .mapToDouble(entry -> largest(entry.getValue()))
                            .max()
                            .orElseThrow();
            exact.forEach((name, expected) -> {
                double scale =
                        Math.max(
                                largest(expected),
                                name.equals("output") ? 0 : cancelling(name) * gradientScale);
                assertThat(largestDifference(fast.get(name), expected) / scale)
                        .as("%s at length %d", name, length)
                        .isLessThan(1e-4);
            });
        }
    }

    /** Outputs and gradients where some rows are needed, one of them twice, and an example has none. */
    @ParameterizedTest
    @MethodSource("contracts")
    void theNeededRowsAreThoseOfAllRows(Contract contract) {
        for (int length : new int[] {1, 17, 100}) {
            int[] chosen = {
                0, length / 2, length - 1, length - 1, 2 * length, 2 * length + length / 3
            };
            double[] gradient = Rig.gaussian(4, chosen.length * WIDTH);
            try (var rig = Rig.cpu(2)) {
                Tensor rows = rig.integers(chosen, 1, chosen.length);
                Map<String, double[]> needed =
                        results(
                                rig,
                                contract,
                                length,
                                (mixer, x) -> mixer.forwardRows(rig.tape(), x, rows),
                                gradient);
                Map<String, double[]> all =
                        results(
                                rig,
                                contract,
                                length,
                                (mixer, x) ->
                                        GatherRowsOperation.apply(
                                                rig.tape(), mixer.forward(rig.tape(), x), rows),
                                gradient);
                double largest =
                        all.values().stream()
                                .mapToDouble(MixerContractTest::largest)
                                .max()
                                .orElseThrow();
                assertThat(needed.keySet()).isEqualTo(all.keySet());
                all.forEach((name, expected) -> {
                    double scale = Math.max(largest(expected), 1e-3 * largest);
                    assertThat(largestDifference(needed.get(name), expected) / scale)
                            .as("%s at length %d", name, length)
                            .isLessThanOrEqualTo(2e-6);
                });
            }
        }
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void everyRunAndEveryNumberOfThreadsGivesTheSameBits(Contract contract) {
        for (int length : LENGTHS) {
            Map<String, double[]> first;
            try (var rig = Rig.cpu(1)) {
                first = results(rig, contract, length);
                assertSame(first, results(rig, contract, length));
            }
            for (int threads = 2; threads <= 3; threads++) {
                try (var rig = Rig.cpu(threads)) {
                    assertSame(first, results(rig, contract, length));
                }
            }
        }
    }

    private static void assertSame(Map<String, double[]> expected, Map<String, double[]> actual) {
        assertThat(actual.keySet()).isEqualTo(expected.keySet());
        expected.forEach((name, values) -> assertThat(actual.get(name)).as(name).isEqualTo(values));
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void parametersSurviveASafetensorsFile(Contract contract, @TempDir Path folder) {
        int length = 17;
        try (var rig = Rig.cpu(1)) {
            Mixer saved = build(contract, length, 1);
            var source = rig.parameters(saved);
            var writer = new SafetensorsWriter();
            source.named()
                    .forEach((name, parameter) ->
                            writer.tensor(
                                    name,
                                    Arrays.stream(parameter.shape()).asLongStream().toArray(),
                                    rig.stream().toFloatArray(parameter.values())));
            Path file = folder.resolve("mixer.safetensors");
            writer.write(file);

            Mixer loaded = build(contract, length, 2);
            var target = rig.parameters(loaded);
            double[] input = Rig.gaussian(3, BATCH * length * WIDTH);
            double[] expected = forward(rig, saved, input, length);
            assertThat(forward(rig, loaded, input, length)).isNotEqualTo(expected);
            var read = SafetensorsFile.read(file);
            assertThat(read.tensors().keySet()).isEqualTo(target.named().keySet());
            read.tensors()
                    .forEach((name, tensor) -> target.load(rig.stream(), name, tensor.toFloats()));
            assertThat(forward(rig, loaded, input, length)).isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void theStateNeverShrinksWithTheLength(Contract contract) {
        Mixer mixer = build(contract, 100, 1);
        long previous = 1;
        for (int length : LENGTHS) {
            long state = mixer.stateSize(length);
            assertThat(state).isGreaterThanOrEqualTo(previous);
            previous = state;
        }
    }

    /** Random labels at every position of 16 random sequences can only be learnt by heart. */
    @ParameterizedTest
    @MethodSource("contracts")
    void twoLayersMemoriseSixteenSequences(Contract contract) {
        int sequences = 16;
        int length = 12;
        int vocabSize = 24;
        var config =
                new ModelConfig(
                        contract.config(),
                        new Mlp.Config(4),
                        4 * WIDTH,
                        2,
                        vocabSize,
                        length,
                        length,
                        true,
                        0,
                        0,
                        0,
                        1e-5);
        try (var rig = Rig.cpu(2)) {
            var model = LanguageModel.of(config, 1);
            var store = rig.parameters(model);
            var random = CounterRandom.of(5, Purpose.ROW, 0);
            int[] ids = new int[sequences * length];
            int[] labels = new int[ids.length];
            for (int i = 0; i < ids.length; i++) {
                ids[i] = i % length == 0 ? i / length : random.nextInt(vocabSize);
                labels[i] = random.nextInt(vocabSize);
            }
            Tensor inputs = rig.integers(ids, sequences, length);
            Tensor targets = rig.integers(labels, sequences, length);
            double loss = Double.NaN;
            int[] predicted = {};
            try (var optimizer =
                    new AdamW(
                            rig.device(), rig.stream(), store, AdamW.Options.withWeightDecay(0))) {
                for (int step = 0; step < 300; step++) {
                    store.zeroGradients(rig.stream());
                    rig.tape().begin(Tape.Mode.TRAINING);
                    var result = model.loss(rig.tape(), inputs, targets);
                    loss = rig.values(result.loss())[0];
                    predicted = rig.stream().toIntArray(result.argMax().values());
                    rig.tape().backward(result.loss());
                    optimizer.step(rig.stream(), 1e-2);
                }
            }
            assertThat(loss).isLessThan(0.05);
            assertThat(predicted).isEqualTo(labels);
        }
    }

    private static Mixer build(Contract contract, int length, long seed) {
        return contract.config().build(new Layer(0, 2, WIDTH, length), new Init(seed, 2));
    }

    private static double[] forward(Rig rig, Mixer mixer, double[] input, int length) {
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(
                mixer.forward(
                        rig.tape(), rig.leaf(input, input.length / length / WIDTH, length, WIDTH)));
    }

    /** Output, and the gradients of input and parameters. */
    private static Map<String, double[]> results(Rig rig, Contract contract, int length) {
        return results(
                rig,
                contract,
                length,
                (mixer, x) -> mixer.forward(rig.tape(), x),
                Rig.gaussian(3, BATCH * length * WIDTH));
    }

    private static Map<String, double[]> results(
            Rig rig,
            Contract contract,
            int length,
            BiFunction<Mixer, Tensor, Tensor> function,
            double[] outputGradient) {
        Mixer mixer = build(contract, length, 1);
        var store = rig.parameters(mixer);
        MixerContracts.enlarge(rig, store);
        Tensor x = rig.leaf(Rig.gaussian(2, BATCH * length * WIDTH), BATCH, length, WIDTH);
        rig.tape().begin(Tape.Mode.TRAINING);
        Tensor output = function.apply(mixer, x);
        Map<String, double[]> results = new LinkedHashMap<>();
        results.put("output", rig.values(output));
        rig.tape().backward(output, rig.upload(outputGradient));
        results.put("input", rig.gradient(x));
        store.named()
                .forEach((name, parameter) -> {
                    if (parameter.requiresGradient()) {
                        results.put(name, rig.gradient(parameter));
                    }
                });
        return results;
    }

    private static List<Tensor> trained(ParameterStore store) {
        return store.named().values().stream()
                .filter(Tensor::requiresGradient)
                .collect(Collectors.toCollection(ArrayList::new));
    }

    private static double largest(double[] values) {
        return Arrays.stream(values).map(Math::abs).max().orElseThrow();
    }

    private static double largestDifference(double[] a, double[] b) {
        double largest = 0;
        for (int i = 0; i < b.length; i++) {
            largest = Math.max(largest, Math.abs(a[i] - b[i]));
        }
        return largest;
    }
}
