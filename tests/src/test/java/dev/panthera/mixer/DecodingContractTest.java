package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.mixer.MixerContracts.Contract;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Rig;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every sequence mixer must do when it goes on from a state: the same as at once, from no more than it says it keeps. */
class DecodingContractTest {
    private static final int WIDTH = MixerContracts.WIDTH;
    private static final int BATCH = 3;
    private static final int LENGTH = 150;
    private static final double TOLERANCE = 1e-5;

    /** Long enough for a sum without bound, or a decay without floor, to show. */
    private static final int LONG = 16 * 1024;

    /** Ways of taking the positions: all at once, one by one, and prompts of several lengths with steps and chunks behind. */
    private static final List<List<Integer>> DIVISIONS =
            List.of(
                    List.of(LENGTH),
                    List.of(),
                    List.of(1, 2, 30, 1, 1, 7, 70),
                    List.of(41, 1, 1, 1, 3),
                    List.of(64, 1, 64, 1));

    static List<Contract> contracts() {
        return MixerContracts.withShown();
    }

    /** Those with convolutions by FFT too. */
    static Stream<MixerConfig> configs() {
        return Stream.concat(
                contracts().stream().map(Contract::config), MixerContracts.byFft().stream());
    }

    static List<Contract> contractsOfFixedState() {
        return contracts().stream()
                .filter(contract -> {
                    Mixer mixer = build(contract.config(), LONG);
                    return mixer.stateSize(LONG) == mixer.stateSize(LONG / 2);
                })
                .toList();
    }

    @ParameterizedTest
    @MethodSource("configs")
    void anyDivisionGivesTheOutputsOfTheWholeSequence(MixerConfig config) {
        try (var rig = Rig.cpu(2)) {
            Mixer mixer = enlarged(rig, config, LENGTH);
            double[] input = Rig.gaussian(2, BATCH * LENGTH * WIDTH);
            double[] expected = forward(rig, mixer, input, LENGTH);
            for (List<Integer> division : DIVISIONS) {
                double[] decoded = Decoding.decode(rig, mixer::extend, input, LENGTH, division);
                assertThat(Decoding.error(decoded, expected))
                        .as("%s", division)
                        .isLessThan(TOLERANCE);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void inDoublePrecisionNoRoundingExcusesADifference(Contract contract) {
        int length = 40;
        try (var rig = Rig.exact()) {
            Mixer mixer = enlarged(rig, contract.config(), length);
            double[] input = Rig.gaussian(2, BATCH * length * WIDTH);
            double[] expected = forward(rig, mixer, input, length);
            double[] decoded =
                    Decoding.decode(rig, mixer::extend, input, length, List.of(7, 1, 1, 17));
            assertThat(Decoding.error(decoded, expected)).isLessThan(1e-9);
        }
    }

    /** A mixer that says nothing about decoding. */
    record Silent(Mixer mixer) implements Mixer {
        @Override
        public Tensor forward(Tape tape, Tensor x) {
            return mixer.forward(tape, x);
        }

        @Override
        public long stateSize(int length) {
            return mixer.stateSize(length);
        }
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void aMixerDecodesWithoutALineOfItsOwn(Contract contract) {
        int length = 20;
        try (var rig = Rig.cpu(2)) {
            var mixer = new Silent(build(contract.config(), length));
            MixerContracts.enlarge(rig, rig.parameters(mixer));
            double[] input = Rig.gaussian(2, BATCH * length * WIDTH);
            double[] decoded =
                    Decoding.decode(rig, mixer::extend, input, length, List.of(4, 1, 1, 8));
            assertThat(Decoding.error(decoded, forward(rig, mixer, input, length)))
                    .isLessThan(TOLERANCE);
        }
    }

    /** A mixer that computes with its input by itself, which only a tensor of a tape can do. */
    record Squares() implements Mixer {
        @Override
        public Tensor forward(Tape tape, Tensor x) {
            return x.times(x);
        }

        @Override
        public long stateSize(int length) {
            return 0;
        }
    }

    /** One sequence, whose rows lie beside each other, up to the last one of its state. */
    @Test
    void whatWasSeenIsOnTheTape() {
        int length = 6;
        try (var rig = Rig.cpu(1)) {
            double[] input = Rig.gaussian(2, length * WIDTH);
            double[] expected = Arrays.stream(input).map(x -> x * x).toArray();
            double[] decoded =
                    Decoding.decode(rig, new Squares()::extend, input, length, List.of(3, 1));
            assertThat(Decoding.error(decoded, expected)).isLessThan(1e-6);
        }
    }

    /** At any position the state takes what the mixer says for its capacity; a step allocates nothing. */
    @ParameterizedTest
    @MethodSource("contracts")
    void theStateIsAsLargeAsItSays(Contract contract) throws ReflectiveOperationException {
        for (int capacity : new int[] {1, 3, 33}) {
            try (var rig = Rig.cpu(1)) {
                Mixer mixer = build(contract.config(), capacity);
                rig.parameters(mixer);
                double[] input = Rig.gaussian(2, BATCH * WIDTH);
                try (var state = Decoding.empty(rig, BATCH, capacity)) {
                    for (int t = 0; t < capacity; t++) {
                        long before = rig.device().allocations();
                        Decoding.step(rig, mixer::extend, state, input, 1);
                        assertThat(state.bytes())
                                .as("capacity %d, position %d", capacity, t)
                                .isEqualTo(
                                        BATCH
                                                * keptNumbers(mixer, capacity)
                                                * rig.tape().type().bytes());
                        if (t > 1) {
                            assertThat(rig.device().allocations()).isEqualTo(before);
                        }
                    }
                    assertThat(state.position()).isEqualTo(capacity);
                }
            }
        }
    }

    /** A mixer without an {@code extend} of its own keeps its inputs, whatever it could do with. */
    private static long keptNumbers(Mixer mixer, int capacity) throws ReflectiveOperationException {
        var extend =
                mixer.getClass().getMethod("extend", Tape.class, Tensor.class, DecodeState.class);
        return extend.getDeclaringClass() == Mixer.class
                ? (long) capacity * WIDTH
                : mixer.stateSize(capacity);
    }

    @ParameterizedTest
    @MethodSource("contracts")
    void closingAStateGivesItsMemoryBack(Contract contract) {
        try (var rig = Rig.cpu(1)) {
            Mixer mixer = build(contract.config(), 8);
            rig.parameters(mixer);
            double[] input = Rig.gaussian(2, BATCH * 8 * WIDTH);
            Decoding.decode(rig, mixer::extend, input, 8, List.of(3));
            long bytes = rig.device().liveBytes();
            Decoding.decode(rig, mixer::extend, input, 8, List.of(3));
            assertThat(rig.device().liveBytes()).isEqualTo(bytes);
        }
    }

    /** Outputs, gradients and a decoder's outputs stay finite over many positions, and the last agree with the first. */
    @ParameterizedTest
    @MethodSource("contractsOfFixedState")
    void sixteenThousandPositionsAreNoTrouble(Contract contract) {
        try (var rig = Rig.cpu(2)) {
            Mixer mixer = build(contract.config(), LONG);
            var store = rig.parameters(mixer);
            double[] input = Rig.gaussian(2, LONG * WIDTH);
            Tensor x = rig.leaf(input, 1, LONG, WIDTH);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor output = mixer.forward(rig.tape(), x);
            double[] expected = rig.values(output);
            assertFinite("output", expected);
            rig.tape().backward(output, rig.upload(Rig.gaussian(3, LONG * WIDTH)));
            assertFinite("gradient of the input", rig.gradient(x));
            store.named().values().stream()
                    .filter(Tensor::requiresGradient)
                    .forEach(parameter -> assertFinite("a gradient", rig.gradient(parameter)));
            List<Integer> chunks = List.of(LONG / 2, LONG / 2 - 10);
            double[] decoded = Decoding.decode(rig, mixer::extend, input, LONG, chunks);
            assertThat(Decoding.error(decoded, expected)).isLessThan(TOLERANCE);
        }
    }

    private static void assertFinite(String what, double[] values) {
        assertThat(Arrays.stream(values).allMatch(Double::isFinite)).as(what).isTrue();
    }

    private static Mixer enlarged(Rig rig, MixerConfig config, int length) {
        Mixer mixer = build(config, length);
        MixerContracts.enlarge(rig, rig.parameters(mixer));
        return mixer;
    }

    private static Mixer build(MixerConfig config, int length) {
        return config.build(new Layer(0, 2, WIDTH, length), new Init(1, 2));
    }

    private static double[] forward(Rig rig, Mixer mixer, double[] input, int length) {
        Tensor x = rig.leaf(input, input.length / length / WIDTH, length, WIDTH);
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(mixer.forward(rig.tape(), x));
    }
}
