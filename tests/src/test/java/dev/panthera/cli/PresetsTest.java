package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.task.Filler;
import dev.panthera.train.DataOptions.Segment;
import dev.panthera.train.Presets;
import org.junit.jupiter.api.Test;

/** The published settings, in numbers. */
class PresetsTest {

    @Test
    void zoologyBasicIsTheOriginalsBasicExample() {
        var config = Presets.named("zoology-basic");
        var model = config.model();
        assertThat(model.mixer()).isEqualTo("attention");
        assertThat(model.stateMixer()).isEqualTo("mlp");
        assertThat(new int[] {model.heads(), model.layers(), model.dModel(), model.stateMultiple()})
                .containsExactly(1, 2, 128, 4);
        assertThat(model.positions()).isTrue();
        assertThat(model.dropout()).isEqualTo(0.1);
        var data = config.data();
        assertThat(data.vocab()).isEqualTo(256);
        assertThat(data.fillers()).isEqualTo(Filler.RANDOM);
        assertThat(data.train()).containsExactly(new Segment(64, 4, 10_000));
        assertThat(data.test()).containsExactly(new Segment(64, 4, 1_000));
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
        assertThat(model.mixer()).isEqualTo("attention");
        assertThat(model.stateMixer()).isEqualTo("identity");
        assertThat(new int[] {model.heads(), model.layers(), model.dModel()})
                .containsExactly(1, 2, 64);
        assertThat(model.positions()).isTrue();
        assertThat(model.dropout()).isEqualTo(0.1);
        var data = config.data();
        assertThat(data.vocab()).isEqualTo(8192);
        assertThat(data.fillers()).isEqualTo(Filler.ZERO);
        assertThat(data.powerA()).isEqualTo(0.01);
        assertThat(data.train()).containsExactly(new Segment(64, 4, 100_000));
        assertThat(data.test()).containsExactly(new Segment(64, 4, 3_000));
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
            assertThat(model.mixer()).isEqualTo(mixer);
            assertThat(model.layers()).isEqualTo(4);
            assertThat(model.positions()).isFalse();
            assertThat(model.taps()).containsExactly(3, -1);
            assertThat(config.data()).isEqualTo(Presets.named("figure-2").data());
        }
        assertThat(Presets.named("figure-2", "attention")).isEqualTo(Presets.named("figure-2"));
        assertThat(Presets.named("default", "hyena")).isEqualTo(Presets.named("default"));
    }
}
