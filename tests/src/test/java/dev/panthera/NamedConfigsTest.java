package dev.panthera;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.nn.Init;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Under which names mixers are found, those that nobody listed too. */
class NamedConfigsTest {

    /** As an experiment writes its mixers. */
    static final class MyMixer {
        record Config(int taps) implements MixerConfig {
            @Override
            public Mixer build(Layer layer, Init init) {
                throw new UnsupportedOperationException();
            }
        }

        /** Options under a name of their own. */
        record LeakyAttention2D() implements MixerConfig {
            @Override
            public Mixer build(Layer layer, Init init) {
                throw new UnsupportedOperationException();
            }
        }

        private MyMixer() {}
    }

    static final class NoRecord implements MixerConfig {
        @Override
        public Mixer build(Layer layer, Init init) {
            throw new UnsupportedOperationException();
        }
    }

    record NoMixer(int taps) {}

    @Test
    void aListedKindIsKnownByItsNameWhateverItsOptions() {
        var config = new Attention.Config(7);
        assertThat(Mixers.SEQUENCE.id(config)).isEqualTo("attention");
        assertThat(Mixers.SEQUENCE.label(config)).isEqualTo("attention");
        assertThat(Mixers.SEQUENCE.kind("attention")).isEqualTo(Attention.Config.class);
    }

    @Test
    void anExperimentsKindGoesByItsClassAndReadsAsTheClassAroundIt() {
        var config = new MyMixer.Config(3);
        String id = "dev.panthera.NamedConfigsTest$MyMixer$Config";
        assertThat(Mixers.SEQUENCE.id(config)).isEqualTo(id);
        assertThat(Mixers.SEQUENCE.kind(id)).isEqualTo(MyMixer.Config.class);
        assertThat(Mixers.SEQUENCE.label(config)).isEqualTo("my-mixer");
        assertThat(Mixers.SEQUENCE.label(new MyMixer.LeakyAttention2D()))
                .isEqualTo("leaky-attention2-d");
    }

    @Test
    void aClassThatIsNoRecordOrNoMixerIsRefused() {
        for (Class<?> wrong : new Class<?>[] {NoRecord.class, NoMixer.class, String.class}) {
            assertThatThrownBy(() -> Mixers.SEQUENCE.kind(wrong.getName()))
                    .isInstanceOf(UserException.class)
                    .hasMessageContainingAll(
                            wrong.getName(), "no record that implements MixerConfig", "attention")
                    .hasMessageNotContaining("\n");
        }
        assertThatThrownBy(() -> Mixers.STATE.kind(MyMixer.Config.class.getName()))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("no record that implements StateMixerConfig");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "hyaena",
                "com.example.None",
                "a/b",
                "int",
                "[",
                "[I",
                "DEV.PANTHERA.UserException"
            })
    void aNameOfNothingIsRefused(String name) {
        assertThatThrownBy(() -> Mixers.SEQUENCE.kind(name))
                .isInstanceOf(UserException.class)
                .hasMessageStartingWith("--mixer " + name)
                .hasMessageContaining("attention, ")
                .hasMessageNotContaining("\n");
        assertThatThrownBy(() -> Mixers.STATE.named(name))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("--state-mixer " + name + ": there is no such state mixer")
                .hasMessageContaining("identity, mlp, glu");
    }

    @Test
    void oneNameMeansOneKind() {
        var kinds = new NamedConfigs<>("number", Integer.class).with("one", 1).with("two", 2);
        assertThat(kinds.names()).containsExactly("one", "two");
        assertThatThrownBy(() -> kinds.with("two", 3)).isInstanceOf(IllegalArgumentException.class);
    }
}
