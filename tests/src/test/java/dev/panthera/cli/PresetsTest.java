package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.kernels.ConvMethod;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BaseConv;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.Passthrough;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.train.Presets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The published settings, in numbers. */
class PresetsTest {

    @Test
    void zoologyBasicIsTheOriginalsBasicExample() {
        var config = Presets.named("zoology-basic");
        var model = config.model();
        assertThat(model.mixer()).isEqualTo(new Attention.Config(1, 0.1, true));
        assertThat(model.stateMixer()).isEqualTo(new Mlp.Config(4));
        assertThat(new int[] {model.layers(), model.dModel()}).containsExactly(2, 128);
        assertThat(model.positions()).isTrue();
        assertThat(model.dropout()).isEqualTo(0.1);
        var data = config.data();
        var task = new Mqar(256, 64, 4, 0.01, Filler.RANDOM, 1);
        assertThat(data.train()).containsExactly(new DataSegment(task, 10_000));
        assertThat(data.test()).containsExactly(new DataSegment(task, 1_000));
        assertThat(data.batch()).isEqualTo(32);
        assertThat(config.epochs()).isEqualTo(100);
        assertThat(config.learningRate()).isEqualTo(1e-3);
        assertThat(config.weightDecay()).isEqualTo(0.1);
        assertThat(config.stopAbove()).isEqualTo(0.99);
    }

    @Test
    void figure2IsThePapersAttention() {
        var config = Presets.named("figure-2");
        var model = config.model();
        assertThat(model.mixer()).isEqualTo(new Attention.Config(1, 0.1, true));
        assertThat(model.stateMixer()).isEqualTo(new Passthrough.Config());
        assertThat(new int[] {model.layers(), model.dModel()}).containsExactly(2, 64);
        assertThat(model.positions()).isTrue();
        assertThat(model.dropout()).isEqualTo(0.1);
        var data = config.data();
        var task = new Mqar(8192, 64, 4, 0.01, Filler.ZERO, 1);
        assertThat(data.train()).containsExactly(new DataSegment(task, 100_000));
        assertThat(data.test()).containsExactly(new DataSegment(task, 3_000));
        assertThat(data.batch()).isEqualTo(512);
        assertThat(config.epochs()).isEqualTo(64);
        assertThat(config.learningRate()).isEqualTo(4.64e-4);
        assertThat(config.stopAbove()).isEqualTo(0.99);
    }

    @Test
    void figure2WithoutAttentionHasFourLayersAndNoPositions() {
        for (String mixer : new String[] {"base-conv", "hyena"}) {
            var config = Presets.named("figure-2", mixer);
            var model = config.model();
            assertThat(model.mixerLabel()).isEqualTo(mixer);
            assertThat(model.mixer()).isEqualTo(Mixers.SEQUENCE.named(mixer));
            assertThat(model.layers()).isEqualTo(4);
            assertThat(model.positions()).isFalse();
            assertThat(config.data()).isEqualTo(Presets.named("figure-2").data());
        }
        assertThat(Presets.named("figure-2", "base-conv").model().mixer())
                .isEqualTo(
                        new BaseConv.Config(List.of(3, -1), true, false, true, 0, ConvMethod.AUTO));
        assertThat(Presets.named("figure-2", "attention")).isEqualTo(Presets.named("figure-2"));
        assertThat(Presets.named("default", "hyena")).isEqualTo(Presets.named("default"));
    }
}
