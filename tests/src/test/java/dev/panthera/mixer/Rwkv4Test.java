package dev.panthera.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tensor;
import dev.panthera.testing.Rig;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;

/** Where a layer lies decides on the initial values of RWKV-4. */
class Rwkv4Test {
    private static final int WIDTH = 4;

    @Test
    void layersCountAmongTwelveOrAmongThoseOfTheModel() {
        var second = new Layer(1, 2, WIDTH, 16);
        try (var rig = Rig.cpu(1)) {
            var original = new Rwkv4.Config().build(second, new Init(1, 2));
            rig.parameters(original);
            assertValues(rig, original.timeMixV(), c -> Math.pow(c / 4.0, 11 / 12.0) + 0.3 / 11);
            assertValues(
                    rig, original.timeDecay(), c -> -5 + 8 * Math.pow(c / 3.0, 0.7 + 1.3 / 11));
            var last = new Rwkv4.Config(0).build(second, new Init(1, 2));
            rig.parameters(last);
            assertValues(rig, last.timeMixK(), c -> Math.sqrt(c / 4.0));
            assertValues(rig, last.timeMixR(), c -> Math.sqrt(Math.sqrt(c / 4.0)));
            assertValues(rig, last.timeDecay(), c -> -5 + 8 * Math.pow(c / 3.0, 2));
        }
    }

    private static void assertValues(Rig rig, Tensor tensor, IntToDoubleFunction expected) {
        double[] values = rig.values(tensor);
        for (int c = 0; c < WIDTH; c++) {
            assertThat(values[c]).isCloseTo(expected.applyAsDouble(c), within(1e-6));
        }
    }

    @Test
    void aDeeperLayerThanTheInitialValuesHaveIsRefused() {
        var thirteenth = new Layer(12, 13, WIDTH, 16);
        assertThatThrownBy(() -> new Rwkv4.Config().build(thirteenth, new Init(1, 13)))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("13")
                .hasMessageContaining("init_layers 0");
        assertThat(new Rwkv4ChannelMix.Config(4, 0).build(thirteenth, new Init(1, 13))).isNotNull();
        assertThatThrownBy(() -> new Rwkv4ChannelMix.Config(4, -1))
                .isInstanceOf(UserException.class);
        assertThatThrownBy(() -> new Rwkv4ChannelMix.Config(0)).isInstanceOf(UserException.class);
    }
}
