package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every registered state mixer must do, with its usual options. */
class StateMixerContractTest {
    private static final int WIDTH = MixerContracts.WIDTH;
    private static final int BATCH = 3;

    static List<String> names() {
        return Mixers.STATE.names();
    }

    @ParameterizedTest
    @MethodSource("names")
    void outputsDependOnNoLaterTokenAndOnNoOtherExample(String name) {
        int length = 17;
        try (var rig = Rig.cpu(2)) {
            StateMixer mixer = build(rig, name);
            double[] input = Rig.gaussian(2, BATCH * length * WIDTH);
            double[] before = forward(rig, mixer, input, length);
            for (int token : new int[] {0, 1, length - 1}) {
                int begin = (length + token) * WIDTH;
                double[] changed = input.clone();
                for (int i = begin; i < begin + WIDTH; i++) {
                    changed[i] += 1 + i % 3;
                }
                double[] after = forward(rig, mixer, changed, length);
                assertThat(Arrays.mismatch(before, after)).isBetween(begin, begin + WIDTH - 1);
                int nextExample = 2 * length * WIDTH;
                assertThat(Arrays.copyOfRange(after, nextExample, after.length))
                        .isEqualTo(Arrays.copyOfRange(before, nextExample, before.length));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void gradientsAreThoseOfFiniteDifferences(String name) {
        int length = 5;
        try (var rig = Rig.exact()) {
            StateMixer mixer = Mixers.STATE.named(name).build(layer(), new Init(1, 2));
            var store = rig.parameters(mixer);
            MixerContracts.enlarge(rig, store);
            Tensor x = rig.leaf(Rig.gaussian(2, 2 * length * WIDTH), 2, length, WIDTH);
            List<Tensor> inputs = new ArrayList<>(store.named().values());
            inputs.removeIf(parameter -> !parameter.requiresGradient());
            inputs.add(x);
            Gradients.check(rig, inputs, tape -> mixer.forward(tape, x));
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void anyLengthGivesTheOutputsOfTheReference(String name) {
        for (int length : new int[] {1, 2, 17, 100}) {
            double[] input = Rig.gaussian(2, BATCH * length * WIDTH);
            double[] fast;
            double[] exact;
            try (var rig = Rig.cpu(2)) {
                fast = forward(rig, build(rig, name), input, length);
            }
            try (var rig = Rig.exact()) {
                exact = forward(rig, build(rig, name), input, length);
            }
            assertThat(Decoding.error(fast, exact)).as("length %d", length).isLessThan(1e-5);
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void anyDivisionGivesTheOutputsOfTheWholeSequence(String name) {
        int length = 40;
        try (var rig = Rig.cpu(2)) {
            StateMixer mixer = build(rig, name);
            double[] input = Rig.gaussian(2, BATCH * length * WIDTH);
            double[] expected = forward(rig, mixer, input, length);
            for (List<Integer> division :
                    List.of(List.of(length), List.<Integer>of(), List.of(7, 1, 1, 12))) {
                double[] decoded = Decoding.decode(rig, mixer::extend, input, length, division);
                assertThat(Decoding.error(decoded, expected)).as("%s", division).isLessThan(1e-5);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("names")
    void theStateIsAsLargeAsItSays(String name) {
        for (int capacity : new int[] {1, 9}) {
            try (var rig = Rig.cpu(1);
                    var state = Decoding.empty(rig, BATCH, capacity)) {
                StateMixer mixer = build(rig, name);
                double[] input = Rig.gaussian(2, BATCH * WIDTH);
                for (int t = 0; t < capacity; t++) {
                    Decoding.step(rig, mixer::extend, state, input, 1);
                    assertThat(state.bytes())
                            .isEqualTo(
                                    BATCH * mixer.stateSize(capacity) * rig.tape().type().bytes());
                }
            }
        }
    }

    private static Layer layer() {
        return new Layer(0, 2, WIDTH, 100);
    }

    private static StateMixer build(Rig rig, String name) {
        StateMixer mixer = Mixers.STATE.named(name).build(layer(), new Init(1, 2));
        MixerContracts.enlarge(rig, rig.parameters(mixer));
        return mixer;
    }

    private static double[] forward(Rig rig, StateMixer mixer, double[] input, int length) {
        Tensor x = rig.leaf(input, input.length / length / WIDTH, length, WIDTH);
        rig.tape().begin(Tape.Mode.EVALUATION);
        return rig.values(mixer.forward(rig.tape(), x));
    }
}
