package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.panthera.sweep.TrialStatus;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class SelectionTest {
    private int made;

    private ReportTrial trial(
            double rate,
            long seed,
            TrialStatus status,
            @Nullable Double valid,
            @Nullable Double test) {
        return trial(Map.of(), rate, seed, status, valid, test);
    }

    private ReportTrial trial(
            Map<String, String> factors,
            double rate,
            long seed,
            TrialStatus status,
            @Nullable Double valid,
            @Nullable Double test) {
        return new ReportTrial(
                "t" + made++,
                "hyena",
                64,
                128,
                8,
                rate,
                seed,
                factors,
                status,
                1,
                1,
                valid,
                test,
                Map.of(),
                List.of(),
                1,
                1,
                null,
                "{}");
    }

    private static Selection select(SelectionProtocol protocol, ReportTrial... trials) {
        return Selection.of(SampleSweeps.summary(List.of(trials), protocol));
    }

    @Test
    void validationChoosesTheRateAndTheTestSplitIsReported() {
        Selection selection =
                select(
                        SelectionProtocol.VALIDATION,
                        trial(0.01, 0, TrialStatus.DONE, 0.6, 0.9),
                        trial(0.001, 0, TrialStatus.DONE, 0.8, 0.5),
                        trial(0.001, 1, TrialStatus.DONE, 0.6, 0.7));

        Selected selected = selection.settings().getFirst();
        assertThat(selection.settings()).hasSize(1);
        assertThat(selected.learningRate()).isEqualTo(0.001);
        Statistics test = selected.test().orElseThrow();
        assertThat(test.mean()).isCloseTo(0.6, within(1e-12));
        assertThat(test.min()).isEqualTo(0.5);
        assertThat(test.max()).isEqualTo(0.7);
        assertThat(test.standardDeviation()).isCloseTo(Math.sqrt(0.02), within(1e-12));
        assertThat(selected.validation().orElseThrow().mean()).isCloseTo(0.7, within(1e-12));
    }

    @Test
    void thePublishedProtocolTakesTheBestTestAccuracy() {
        Selection selection =
                select(
                        SelectionProtocol.PUBLISHED,
                        trial(0.01, 0, TrialStatus.DONE, 0.6, 0.9),
                        trial(0.001, 0, TrialStatus.DONE, 0.8, 0.5));

        assertThat(selection.settings().getFirst().learningRate()).isEqualTo(0.01);
        assertThat(selection.settings().getFirst().test().orElseThrow().mean()).isEqualTo(0.9);
    }

    @Test
    void failedAndUnfinishedTrialsAreAbsentRatherThanZero() {
        Selection selection =
                select(
                        SelectionProtocol.VALIDATION,
                        trial(0.001, 0, TrialStatus.DONE, 0.8, 0.7),
                        trial(0.001, 1, TrialStatus.FAILED, null, null),
                        trial(0.001, 2, TrialStatus.RUNNING, 0.1, 0.1),
                        trial(0.01, 0, TrialStatus.WAITING, null, null));

        Selected selected = selection.settings().getFirst();
        assertThat(selected.trials()).hasSize(1);
        assertThat(selected.test().orElseThrow().mean()).isEqualTo(0.7);
        assertThat(selection.partial()).containsExactly(selected.setting());
        assertThat(selection.reservations())
                .singleElement()
                .asString()
                .contains("hyena, d_model 64");
    }

    @Test
    void aSettingWithoutAFinishedTrialIsNamedAsUndecided() {
        Selection selection =
                select(
                        SelectionProtocol.VALIDATION,
                        trial(0.001, 0, TrialStatus.FAILED, null, null),
                        trial(0.001, 1, TrialStatus.DONE, Double.NaN, 0.5));

        assertThat(selection.settings()).isEmpty();
        assertThat(selection.undecided()).hasSize(1);
        assertThat(selection.reservations())
                .singleElement()
                .asString()
                .contains("validation accuracy", "hyena, d_model 64, length 128, 8 pairs");
    }

    @Test
    void ofEquallyGoodRatesTheSmallestCounts() {
        Selection selection =
                select(
                        SelectionProtocol.VALIDATION,
                        trial(0.01, 0, TrialStatus.DONE, 0.5, 0.9),
                        trial(0.001, 0, TrialStatus.DONE, 0.5, 0.4));

        assertThat(selection.settings().getFirst().learningRate()).isEqualTo(0.001);
    }

    @Test
    void otherFactorsMakeSettingsOfTheirOwn() {
        Map<String, String> two = new LinkedHashMap<>();
        two.put("train.learning_rate", "0.001");
        two.put("seed", "0");
        two.put("layers", "2");
        Map<String, String> four = new LinkedHashMap<>(two);
        four.put("layers", "4");

        Selection selection =
                select(
                        SelectionProtocol.VALIDATION,
                        trial(two, 0.001, 0, TrialStatus.DONE, 0.5, 0.4),
                        trial(four, 0.01, 0, TrialStatus.DONE, 0.6, 0.5));

        assertThat(selection.settings())
                .extracting(selected -> selected.setting().otherFactors())
                .containsExactly(Map.of("layers", "2"), Map.of("layers", "4"));
    }
}
