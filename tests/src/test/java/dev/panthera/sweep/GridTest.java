package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.mixer.Attention;
import dev.panthera.mixer.Based;
import dev.panthera.mixer.Hybrid;
import dev.panthera.mixer.Hyena;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.TaylorExp;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What trials a sweep has, and what the command line changes of it. */
class GridTest {

    @Test
    void thereIsATrialForEachCombinationAndTheLastFactorVariesFastest() {
        var grid = TinySweep.one().over(Width.of(8, 16)).over(Seeds.of(1, 2, 3)).grid();
        assertThat(labels(grid.trials()))
                .containsExactly(
                        label(8, 1),
                        label(8, 2),
                        label(8, 3),
                        label(16, 1),
                        label(16, 2),
                        label(16, 3));
        assertThat(grid.trials().getLast().config().model().dModel()).isEqualTo(16);
        assertThat(grid.trials().getLast().config().seed()).isEqualTo(3);
        assertThat(grid.trials().getLast().config().data().seed()).isEqualTo(3);
        assertThat(grid.unavailable()).isEmpty();
    }

    private static String label(int width, int seed) {
        return "task=%s d_model=%d mixer=attention seed=%d"
                .formatted(TinySweep.TASK.label(), width, seed);
    }

    @Test
    void aMixerThatLooksAheadIsMarked() {
        var ahead = new Based.Config(4, 1, new TaylorExp.Config(), 1e-12, false, false, 10000);
        var grid =
                TinySweep.one()
                        .over(
                                Layers.of(1, new Attention.Config(1)),
                                Layers.of(1, ahead),
                                Layers.of(1, Hybrid.Config.of(new Attention.Config(1), ahead))
                                        .named("mine"))
                        .grid();
        assertThat(grid.trials())
                .extracting(trial -> trial.factors().get("mixer"))
                .containsExactly("attention", "based (non-causal)", "mine (non-causal)");
    }

    @Test
    void aSweepThatVariesNothingHasOneTrial() {
        assertThat(labels(Sweep.named("one").grid().trials())).containsExactly("the only trial");
    }

    @Test
    void aFactorSaidTwiceCountsTheSecondTimeInItsFirstPlace() {
        var sweep = TinySweep.one().over(Width.of(8, 16)).over(Width.of(32));
        assertThat(sweep.factors())
                .extracting(Factor::name)
                .containsExactly("task", "d_model", "mixer");
        assertThat(sweep.grid().trials()).hasSize(1);
    }

    @Test
    void examplesFillersAndBatchReachEverySegmentInWhateverOrderTheyAreSaid() {
        var config =
                Sweep.named("s")
                        .examples(50, 20)
                        .fillers(Filler.ZERO)
                        .batch(task -> task.length() / 2)
                        .over(Mqar.of(16, 2).withVocabSize(64), Mqar.of(32, 2).withVocabSize(64))
                        .grid()
                        .trials()
                        .getLast()
                        .config();
        assertThat(config.data().train().getFirst().examples()).isEqualTo(50);
        assertThat(config.data().validation().getFirst().examples()).isEqualTo(20);
        assertThat(config.data().test().getFirst().examples()).isEqualTo(20);
        assertThat(config.data().batch()).isEqualTo(16);
        assertThat(((Mqar) config.data().test().getFirst().task()).filler()).isEqualTo(Filler.ZERO);
    }

    @Test
    void equalTrialsAreRefused() {
        assertRefused(
                () -> TinySweep.one().over(Factor.of("epochs", 3, 4)).override("epochs", 2).grid(),
                "two trials are the same",
                "epochs=3",
                "epochs=4",
                "vary");
    }

    @Test
    void aValueThatIsThereTwiceIsRefused() {
        assertRefused(() -> Width.of(8, 16, 8), "d_model: 8 is there twice", "leave one out");
    }

    @Test
    void anEmptyFactorIsRefused() {
        assertRefused(() -> LearningRate.of(), "lr: it has no values", "give one");
    }

    @Test
    void anImpossibleConfigurationNamesItsTrial() {
        assertRefused(
                () -> TinySweep.one().over(Layers.of(1, new Attention.Config(3))).grid(),
                "d_model=8 mixer=attention: ",
                "--heads 3");
    }

    @Test
    void anUnknownMixerIsRefused() {
        assertRefused(() -> applied("--set", "mixer=hyaena").grid(), "mixer=hyaena", "attention");
    }

    @Test
    void anUnknownKeyIsRefused() {
        assertRefused(() -> applied("--set", "data.batsh=4").grid(), "data.batsh");
    }

    @Test
    void whatDoesNotExistYetIsCountedAndLeftOut() {
        var grid =
                TinySweep.one()
                        .over(
                                Layers.of(1, new Attention.Config(1)),
                                Layers.missing("h3"),
                                Layers.missing("rwkv"))
                        .over(LearningRate.of(1e-3, 1e-2))
                        .grid();
        assertThat(grid.trials()).hasSize(2);
        assertThat(grid.unavailable())
                .containsExactly(Map.entry("mixer=h3", 2), Map.entry("mixer=rwkv", 2));
        assertThat(grid.unavailableTrials()).isEqualTo(4);
    }

    @ParameterizedTest
    @CsvSource({
        "1e-3, 0.001",
        "1e-2, 0.01",
        "4.641588833612782e-4, 0.000464",
        "2.1544346900318843e-3, 0.00215",
        "1e-7, 1e-7",
        "4.64e-9, 4.64e-9",
        "1e30, 1e30",
        "1, 1",
        "64.0, 64",
        "0.5, 0.5"
    })
    void aFractionIsLabelledByThreeDigits(double rate, String label) {
        assertThat(LearningRate.of(rate).levels()).extracting(Level::label).containsExactly(label);
    }

    @Test
    void labelsAreTheSameInEveryLocale() {
        var before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
            assertThat(LearningRate.of(1e-3).levels().getFirst().label()).isEqualTo("0.001");
            assertThat(TinySweep.engine(2).description())
                    .isEqualTo("2 trials at once on cpu with one thread each");
            assertRefused(() -> Layers.of(0, new Attention.Config(1)), "attention: 0 layers");
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void ratesThatAgreeInThreeDigitsAreToldApart() {
        assertThat(LearningRate.of(1.001e-3, 1.002e-3, 1e-2).levels())
                .extracting(Level::label)
                .containsExactly("0.001001", "0.001002", "0.01");
    }

    @Test
    void logarithmicRatesEndWhereTheyShould() {
        assertThat(LearningRate.logspace(-4, -2, 4).levels())
                .extracting(Level::label)
                .containsExactly("0.0001", "0.000464", "0.00215", "0.01");
        assertThat(LearningRate.logspace(-4, -2, 4).levels().getLast().values())
                .containsEntry("learning_rate", 0.01);
        assertRefused(() -> LearningRate.logspace(-4, -2, 1), "at least 2");
    }

    @Test
    void setReplacesAFactor() {
        var trials = applied("--set", "lr=1e-4,2e-4,3e-4").grid().trials();
        assertThat(trials).hasSize(6);
        assertThat(trials).extracting(trial -> trial.config().learningRate()).contains(2e-4);
    }

    @Test
    void setWithThePathReplacesTheFactorOfTheShortName() {
        assertThat(applied("--set", "learning_rate=1e-4").grid().trials())
                .hasSize(2)
                .allSatisfy(trial -> assertThat(trial.factors()).containsEntry("lr", "0.0001"));
    }

    @Test
    void setOfOneValueElsewhereIsNoFactor() {
        assertThat(applied("--set", "data.batch=8").grid().trials())
                .hasSize(4)
                .allSatisfy(trial -> {
                    assertThat(trial.config().data().batch()).isEqualTo(8);
                    assertThat(trial.factors()).doesNotContainKey("data.batch");
                });
    }

    @Test
    void setOfManyValuesElsewhereIsAFactor() {
        var trials = applied("--set", "epochs=3,4").grid().trials();
        assertThat(trials).hasSize(8);
        assertThat(trials.getFirst().factors()).containsEntry("epochs", "3");
    }

    @Test
    void setOfAMixerThatTheSweepHasMeansTheSweepsOwn() {
        var sweep = TinySweep.one().over(Layers.of(3, Mixers.SEQUENCE.named("base-conv")));
        GridOptions.apply(sweep, "", List.of("mixer=base-conv,attention"));
        var trials = sweep.grid().trials();
        assertThat(trials.getFirst().config().model().layers()).isEqualTo(3);
        assertThat(trials.getFirst().config().model().positions()).isFalse();
    }

    @Test
    void setOfATaskChoosesAmongTheSweepsOwn() {
        var other = Mqar.of(32, 2).withVocabSize(64);
        var sweep = TinySweep.one().over(TinySweep.TASK, other);
        GridOptions.apply(sweep, "", List.of("task=" + other.label()));
        assertThat(labels(sweep.grid().trials()))
                .singleElement()
                .asString()
                .contains(other.label());
        GridOptions.apply(sweep, "", List.of("task=nonsense"));
        assertRefused(sweep::grid, "task=nonsense", "no such key");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--set  |lr       | --set lr        | a key and one or more values",
                "--set  |lr=      | --set lr=       | a key and one or more values",
                "--set  |=3       | --set =3        | a key and one or more values",
                "--set  |lr=[1    | --set lr=[1     | neither YAML nor JSON",
                "--set  |lr=1,1   | lr: 1           | is there twice",
                "--set  |lr=fast  | lr=fast: learning_rate | a number",
                "--set  |lr=0     | lr=0: --lr 0.0  | positive",
                "--set  |epochs=1e1 | epochs: 10.0  | a whole number",
                "--only |mixer    | --only mixer    | a factor and one or more of its values",
                "--only |depth=3  | --only depth    | varies no depth; choose from task, d_model, mixer, lr",
                "--only |mixer=h3 | --only mixer=h3 | choose from attention, base-conv",
                "--only |lr=1     | --only lr=1     | choose from 0.001, 0.01",
                "--scale|big      | --scale big     | only one size"
            })
    void whatCannotBeSetOrChosenIsNamed(String option, String value, String what, String possible) {
        assertRefused(
                () -> {
                    var sweep = applied(option, value);
                    List<String> only = option.equals("--only") ? List.of(value) : List.of();
                    GridOptions.select(sweep, sweep.grid().trials(), only);
                },
                what,
                possible);
    }

    @Test
    void onlyChoosesByLabelOrByNumber() {
        var sweep = TinySweep.four();
        var trials = sweep.grid().trials();
        assertThat(GridOptions.select(sweep, trials, List.of())).isEqualTo(trials);
        assertThat(GridOptions.select(sweep, trials, List.of("lr=1e-2", "mixer=attention")))
                .containsExactly(trials.get(1));
        assertThat(GridOptions.select(sweep, trials, List.of("learning_rate=0.01,1E-3")))
                .isEqualTo(trials);
        assertThat(GridOptions.select(sweep, trials, List.of("d_model=8", "mixer=base-conv")))
                .isEqualTo(trials.subList(2, 4));
    }

    @Test
    void aScaleChangesWhatCameBefore() {
        var sweep = TinySweep.four().scale("small", s -> s.over(LearningRate.of(1e-3)).epochs(1));
        GridOptions.apply(sweep, "small", List.of("epochs=5"));
        assertThat(sweep.grid().trials())
                .hasSize(2)
                .allSatisfy(trial -> assertThat(trial.config().epochs()).isEqualTo(5));
        assertRefused(
                () -> GridOptions.apply(sweep, "tiny", List.of()),
                "--scale tiny",
                "choose from small");
    }

    @Test
    void aNameThatIsNoFolderIsRefused() {
        assertRefused(() -> Sweep.named("a/b"), "sweep a/b", "use letters");
        assertRefused(() -> Sweep.named(".."), "sweep ..", "use letters");
    }

    @Test
    void layersOfAMixerThatCannotTellPositionsLearnThem() {
        var trials =
                TinySweep.one()
                        .over(
                                Layers.of(1, new Attention.Config(1)),
                                Layers.of(2, (Hyena.Config) Mixers.SEQUENCE.named("hyena")),
                                Layers.of(1, new Attention.Config(2))
                                        .named("two heads")
                                        .positions(false))
                        .grid()
                        .trials();
        assertThat(trials)
                .extracting(trial -> trial.config().model().positions())
                .containsExactly(true, false, false);
        assertThat(trials.getLast().factors()).containsEntry("mixer", "two heads");
    }

    private static Sweep applied(String option, String value) {
        var sweep = TinySweep.four();
        switch (option) {
            case "--set" -> GridOptions.apply(sweep, "", List.of(value));
            case "--scale" -> GridOptions.apply(sweep, value, List.of());
            default -> {}
        }
        return sweep;
    }

    private static List<String> labels(List<Trial> trials) {
        return trials.stream().map(Trial::label).toList();
    }

    private static void assertRefused(ThrowingCallable action, String... parts) {
        List<CharSequence> all = new ArrayList<>(Arrays.asList(parts));
        assertThatThrownBy(action)
                .isInstanceOf(UserException.class)
                .message()
                .doesNotContain("\n")
                .contains(all);
    }
}
