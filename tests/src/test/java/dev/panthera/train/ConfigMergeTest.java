package dev.panthera.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.kernels.ConvMethod;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.BaseConv;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Hyena;
import dev.panthera.mixer.LongConvolution;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.Mlp;
import dev.panthera.mixer.ShortConvolution;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What mixers and tasks keep of their options when a configuration says something new about them. */
class ConfigMergeTest {
    private static final Mqar LONGER = task(16, 2);
    private static final Mqar SHORTER = task(12, 1);

    private static Mqar task(int length, int pairs) {
        return new Mqar(64, length, pairs, 0.1, Filler.ZERO, 1);
    }

    private static MixerConfig mixer(String... settings) {
        return TinyRuns.config(settings).model().mixer();
    }

    private static List<DataSegment> test(String... settings) {
        return TinyRuns.config(settings).data().test();
    }

    @Test
    void aNameAloneKeepsTheOptionsOfThatKindAndGivesAnotherItsUsualOnes() {
        assertThat(mixer("model.mixer.heads=4", "model.mixer=attention"))
                .isEqualTo(new Attention.Config(4));
        assertThat(mixer("model.mixer.heads=4", "model.mixer=hyena"))
                .isEqualTo(Mixers.SEQUENCE.named("hyena"));
        assertThat(mixer("model.mixer.heads=4", "model.mixer=hyena", "model.mixer=attention"))
                .isEqualTo(Mixers.SEQUENCE.named("attention"));
        assertThat(TinyRuns.config("model.state_mixer=glu").model().stateMixer())
                .isEqualTo(Mixers.STATE.named("glu"));
    }

    @Test
    void optionsAloneKeepKindAndOtherOptions() {
        assertThat(mixer("model.mixer={bias: false}"))
                .isEqualTo(new Attention.Config(2, 0.1, false));
        assertThat(TinyRuns.config("model.state_mixer={multiple: 3}").model().stateMixer())
                .isEqualTo(new Mlp.Config(3));
    }

    @Test
    void anotherNameWithOptionsStartsFromTheUsualOnes() {
        assertThat(mixer("model.mixer={name: base-conv, taps: [5]}"))
                .isEqualTo(new BaseConv.Config(List.of(5), ConvMethod.AUTO));
        assertThat(mixer("model.mixer={name: hyena, filter: {order: 8, window: {shift: 0.5}}}"))
                .isInstanceOfSatisfying(
                        Hyena.Config.class,
                        hyena -> {
                            var usual = (Hyena.Config) Mixers.SEQUENCE.named("hyena");
                            assertThat(hyena.filter().order()).isEqualTo(8);
                            assertThat(hyena.filter().features())
                                    .isEqualTo(usual.filter().features());
                            assertThat(hyena.filter().window().shift()).isEqualTo(0.5);
                            assertThat(hyena.method()).isEqualTo(usual.method());
                        });
    }

    @Test
    void aListOfMixersIsReplacedAndEachStartsFromTheOneInItsPlace() {
        String hybrid =
                "model.mixer={name: hybrid, configs: [{heads: 2, name: attention}, short-conv]}";
        assertThat(mixer(hybrid))
                .isEqualTo(
                        Hybrid.Config.of(new Attention.Config(2), new ShortConvolution.Config(3)));
        assertThat(mixer(hybrid, "model.mixer.configs=[attention, hyena, hyena]"))
                .isEqualTo(
                        Hybrid.Config.of(
                                new Attention.Config(2),
                                new Hyena.Config(ConvMethod.AUTO),
                                new Hyena.Config(ConvMethod.AUTO)));
        assertThat(mixer(hybrid, "model.mixer.configs.1.taps=7"))
                .isEqualTo(
                        Hybrid.Config.of(new Attention.Config(2), new ShortConvolution.Config(7)));
    }

    @Test
    void tasksOfAListOfSegmentsStartFromThoseThatWereThere() {
        assertThat(
                        test(
                                "data.test=[{task: {pairs: 3}, examples: 5}, {task: {filler: random}, examples: 6}]"))
                .containsExactly(
                        new DataSegment(task(16, 3), 5),
                        new DataSegment(SHORTER.withFiller(Filler.RANDOM), 6));
        assertThat(test("data.test=[{task: mqar, examples: 5}]"))
                .containsExactly(new DataSegment(LONGER, 5));
        assertThat(
                        test(
                                "data.test=[{task: {}, examples: 1}, {task: {}, examples: 2}, {task: {length: 20}, examples: 3}]"))
                .containsExactly(
                        new DataSegment(LONGER, 1),
                        new DataSegment(SHORTER, 2),
                        new DataSegment(task(20, 1), 3));
        assertThat(TinyRuns.config("data.test=[{task: {pairs: 3}, examples: 5}]").data().train())
                .isEqualTo(TinyRuns.config().data().train());
    }

    @Test
    void afterAnEmptyListTasksStartFromTheUsualOptions() {
        assertThat(test("data.test=[]", "data.test=[{task: {name: mqar, pairs: 3}, examples: 5}]"))
                .containsExactly(new DataSegment(Mqar.of(64, 3), 5));
    }

    @Test
    void twoStarsAreEveryGroupThatHasTheKey() {
        String hybrid =
                "model.mixer={name: hybrid, configs: [{name: hybrid, configs: [long-conv, attention]}, base-conv]}";
        assertThat(mixer(hybrid, "model.mixer.**.method=fft", "model.mixer.**.heads=8"))
                .isEqualTo(
                        Hybrid.Config.of(
                                Hybrid.Config.of(
                                        new LongConvolution.Config(0, ConvMethod.FFT),
                                        new Attention.Config(8)),
                                new BaseConv.Config(List.of(3, -1), ConvMethod.FFT)));
        assertThat(mixer("model.mixer.**.heads=4")).isEqualTo(new Attention.Config(4));
        assertThat(test("data.test.**.pairs=1"))
                .containsExactly(new DataSegment(task(16, 1), 30), new DataSegment(SHORTER, 15));
    }

    @Test
    void mixersAndTasksMayBeGivenAsTheyAre() {
        var mixers = List.of(new Attention.Config(4), new ShortConvolution.Config(5));
        var config =
                ConfigDraft.of(TinyRuns.config())
                        .set("model.mixer", "hybrid")
                        .set("model.mixer.configs", mixers)
                        .set("data.test.*.task", LONGER.withPasses(2))
                        .toConfig();
        assertThat(config.model().mixer()).isEqualTo(new Hybrid.Config(List.copyOf(mixers)));
        assertThat(config.data().test())
                .extracting(DataSegment::task)
                .containsOnly(LONGER.withPasses(2));
    }

    @Test
    void aDraftTellsTheTextOfItsValues() {
        var draft = ConfigDraft.of(TinyRuns.config());
        assertThat(draft.text("model.mixer")).isEqualTo("attention");
        assertThat(draft.text("model.mixer.**.heads")).isEqualTo("2");
        assertThat(draft.text("model.mixer.**.taps")).isEmpty();
        assertThat(draft.text("data.test.*.task.length")).isEqualTo("16");
        assertThat(draft.text("data.test.0.task")).isEqualTo("mqar");
    }

    @ParameterizedTest
    @ValueSource(strings = {"model.**", "**.heads", "model.**.mixer.heads"})
    void twoStarsStandBetweenAGroupAndTheLastKeyOnly(String path) {
        assertThatThrownBy(() -> ConfigDraft.of(TinyRuns.config()).set(path, 3))
                .isInstanceOf(UserException.class)
                .hasMessageContainingAll(path, "** stands between");
    }

    @Test
    void onePathOfSeveralThatLeadsSomewhereIsEnough() {
        var draft = ConfigDraft.of(TinyRuns.config("model.mixer=short-conv"));
        var paths = List.of("model.mixer.**.dropout", "model.dropout");
        assertThat(draft.setAll(paths, 0.5).toConfig().model().dropout()).isEqualTo(0.5);
        assertThatThrownBy(
                        () -> draft.setAll(List.of("model.mixer.**.dropout"), 0.5, "--dropout 0.5"))
                .isInstanceOf(UserException.class)
                .hasMessage(
                        "--dropout 0.5: short-conv has no option dropout, only taps; leave it out or choose another mixer");
    }
}
